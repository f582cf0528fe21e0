"""One setting's text → its value.

Law: pure, but for the two that must look at a file or folder. Each takes the text and the name of where it
came from, and raises :class:`Invalid` with the remedy when it cannot be used.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from mystic_agent.contract.duration import seconds
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.target import Target, parse_target

CONFIG_VERSION = 1
MOST_BYTES = 1 << 20
SHORTEST_LONG_KEY = 16


def fit(text: str) -> str:
    """Return ``text`` as a name that a hijack can give: other characters become ``-``."""
    fitted = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in text).strip("._-")
    return fitted[:63] or "unknown_service"


def flag(text: object, name: str) -> bool:
    if isinstance(text, bool):
        return text
    word = str(text).strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off"):
        return False
    raise Invalid(name, text, "give true or false")


def host(text: str, name: str) -> str:
    host = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if len(host) > 253 or not all(c.isalnum() or c in ".-_:%" for c in host) or (":" in host and host.count(":") < 2):
        raise Invalid(name, text, "give a host name or address without scheme and port, e.g. 'mystic' or '127.0.0.1'")
    # What a server binds to everywhere is, seen from this machine, the machine itself.
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound


def port(text: str, name: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536:
        return int(text)
    raise Invalid(name, text, "give a port from 1 to 65535")


def label(text: object, name: str) -> str:
    if isinstance(text, str) and text and fit(text) == text:
        return text
    raise Invalid(name, text, "give up to 63 letters, digits, '.', '_' or '-'")


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        return -1.0
    return number if number == number else -1.0


def budget(text: str, name: str) -> float:
    if text.lower() == "off":
        return 0.0
    share = _number(text[:-1]) / 100 if text.endswith("%") else _number(text)
    if 0 <= share <= 1:
        return share
    raise Invalid(name, text, "give a share of one core such as '3%' or '0.03', or 'off'")


def interval(text: str, name: str) -> float:
    period = seconds(text, name)
    if 0.05 <= period <= 3600:
        return period
    raise Invalid(name, text, "give a time from '50ms' to '1h'")


def rate(text: str, name: str) -> float:
    rate = float("inf") if text.lower() == "all" else _number(text)
    if rate >= 0:
        return rate
    raise Invalid(name, text, "give traces per second such as '5', 'all', or 0 for none")


def one_of(fold: Callable[[str], str], allowed: tuple[str, ...]) -> Callable[[str, str], str]:
    def read(text: str, name: str) -> str:
        if fold(text) in allowed:
            return fold(text)
        raise Invalid(name, text, f"give one of {', '.join(allowed)}")

    return read


def key(text: str, name: str) -> str:
    if text.isascii() and text.isprintable() and len(text) <= 4096:
        return text
    raise Invalid(name, "(not shown)", "give a key of at most 4096 printable ASCII characters")


def key_file(text: str, name: str) -> str:
    try:
        with open(text, encoding="utf-8") as file:
            content = file.read(MOST_BYTES).strip()
    except (OSError, ValueError) as error:
        raise Invalid(name, text, f"give a file this process can read ({error})") from None
    if not content:
        raise Invalid(name, text, "give a file that holds the key; this one is empty")
    return key(content, name)


def long_key(text: str, name: str) -> str:
    if len(text) < SHORTEST_LONG_KEY:
        raise Invalid(
            name, "(not shown)", f"give at least {SHORTEST_LONG_KEY} characters, e.g. of 'openssl rand -hex 32'"
        )
    return key(text, name)


def long_key_file(text: str, name: str) -> str:
    return long_key(key_file(text, name), name)


def target(text: str, name: str) -> Target:
    try:
        return parse_target(text if ":" in text else f"{text}:*", name)
    except Invalid as error:
        raise Invalid(name, text, error.remedy) from None


def strategy(text: str, name: str) -> str:
    from mystic_agent.contract.strategy import STRATEGIES  # only where somebody limits them

    if text in STRATEGIES:
        return text
    raise Invalid(name, text, f"name strategies, comma-separated; known are {', '.join(sorted(STRATEGIES))}")


def module_glob(text: str, name: str) -> str:
    try:
        return parse_target(f"{text}:*", name).module
    except Invalid:
        raise Invalid(name, text, "write it as 'package.module', globs allowed, e.g. 'app.*'") from None


def directory(value: object, name: str) -> str:
    if isinstance(value, str) and os.path.isdir(value):
        return os.path.abspath(value)
    raise Invalid(name, value, "give a folder that exists")


def patterns(value: object, name: str) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(one, str) and one for one in value):
        return tuple(value)
    raise Invalid(name, value, "give a list of globs such as '*.pyc' or '.venv'")


def version(value: object, name: str) -> object:
    if value in (CONFIG_VERSION, str(CONFIG_VERSION)) and value is not True:
        return value
    raise Invalid(name, value, f"this release reads version {CONFIG_VERSION}; run 'mystic init' of the newer one")


def title(value: object, name: str) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise Invalid(name, value, "give a name")
