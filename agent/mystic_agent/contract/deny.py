"""What no hijack may change: what guards secrets, what the interpreter works with, and the agent itself.

Both sides ask here: the collector when a hijack is made, the agent for every function that one matches. Observing
and logging are allowed wherever they are possible.
"""

from __future__ import annotations

from collections.abc import Iterable

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.strategy import OBSERVING, StrategySpec
from mystic_agent.contract.target import Target

_OWN = ("mystic_agent", "mystic_bootstrap", "mystic_collector", "wrapt")
_GUARDS = (
    "Crypto",
    "Cryptodome",
    "OpenSSL",
    "_hashlib",
    "_ssl",
    "argon2",
    "authlib",
    "bcrypt",
    "certifi",
    "crypt",
    "cryptography",
    "django.contrib.auth",
    "django.core.signing",
    "django.middleware.csrf",
    "django.utils.crypto",
    "getpass",
    "hashlib",
    "hmac",
    "itsdangerous",
    "jose",
    "jwt",
    "nacl",
    "passlib",
    "rsa",
    "secrets",
    "ssl",
    "werkzeug.security",
)
_MACHINERY = (
    "__future__",
    "_bootstrap",
    "_frozen_importlib",
    "_frozen_importlib_external",
    "_thread",
    "_weakrefset",
    "abc",
    "atexit",
    "builtins",
    "codecs",
    "contextvars",
    "copyreg",
    "ctypes",
    "encodings",
    "faulthandler",
    "gc",
    "importlib",
    "runpy",
    "signal",
    "site",
    "sys",
    "threading",
    "types",
    "weakref",
    "zipimport",
)
_OPEN_IN_SUBPROCESS = frozenset({"call", "check_call", "check_output", "getoutput", "getstatusoutput", "run"})


def denied(module: str, qualname: str) -> str:
    """Return why no hijack may change ``module:qualname``, or an empty text."""
    if _within(module, _OWN):
        return "the agent does not hijack itself"
    if _within(module, _GUARDS):
        return f"{module} guards secrets, signatures or connections; it can only be observed and logged"
    if _within(module, _MACHINERY):
        return f"the interpreter itself works with {module}; it can only be observed and logged"
    if module == "subprocess" and qualname not in _OPEN_IN_SUBPROCESS:
        functions = ", ".join(sorted(_OPEN_IN_SUBPROCESS))
        return f"the functions of subprocess call each other through {qualname}; only {functions} can be changed"
    return ""


def check_target(target: Target, strategies: Iterable[StrategySpec], field: str = "target") -> None:
    """Refuse a hijack whose target names what may not be changed; one with a glob is decided function by function.

    Raises:
        Invalid: with the reason.
    """
    changing = [spec.name for spec in strategies if spec.name not in OBSERVING]
    if not changing or set("*?[") & set(target.module):
        return
    reason = denied(target.module, target.qualname)
    if reason and (target.module != "subprocess" or target.exact):
        raise Invalid(field, str(target), f"{changing[0]} is refused: {reason}")


def _within(module: str, packages: Iterable[str]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)
