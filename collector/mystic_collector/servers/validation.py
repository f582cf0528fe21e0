"""From what a caller sent to a :class:`ServerSpec`, or a refusal that names the rule; pure.

What a caller can say decides what runs on somebody's machine, so every field is matched against what it may be, and
never cleaned, quoted or split. Engines and launchers read some of these texts as options, paths or code; the rules
keep to the forms that none of them does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, get_args

from mystic_agent.contract.errors import Invalid

from mystic_collector.servers.room import read_limits, read_placement
from mystic_collector.servers.spec import Network, Secret, ServerSpec, ServerType, Transport

SERVER_TYPES: tuple[str, ...] = get_args(ServerType)
TRANSPORTS: tuple[str, ...] = get_args(Transport)
NETWORKS: tuple[str, ...] = get_args(Network)
PACKAGED = ("npx", "uv", "python")
MOST_ARGS = 64
MOST_ENV = 64
_MOST_TEXT = 4096
_MOST_ENV_BYTES = 64 * 1024

FIELDS = tuple(ServerSpec.__slots__)
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_NPM = re.compile(r"(?:@[a-z0-9~-][a-z0-9._~-]*/)?[a-z0-9~][a-z0-9._~-]*(?:@[A-Za-z0-9^~][A-Za-z0-9.+~^-]{0,63})?")
_PYPI = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?(?:\[[A-Za-z0-9_.-]+(?:,[A-Za-z0-9_.-]+)*\])?"
    r"(?:(?:==|>=|<=|~=|@)[A-Za-z0-9][A-Za-z0-9.+!*-]{0,63})?"
)
_IMAGE = re.compile(
    r"[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]{1,5})?(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*"
    r"(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
_PROGRAM = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./+-]{0,254}")
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)*")
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_REFERENCE = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_KEY = re.compile(r"(?!\.\.?$)[A-Za-z0-9._-]{0,253}")
_PATH = re.compile(r"/(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?)?")

_SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh", "csh", "tcsh", "fish", "busybox", "pwsh", "cmd"})
# Variables that make a loader, interpreter or package tool run code of the sender's choice before the server's own.
_LOADERS = re.compile(
    r"LD_.*|DYLD_.*|PYTHON.*|NODE_OPTIONS|NODE_PATH|NODE_EXTRA_CA_CERTS|NODE_TLS_REJECT_UNAUTHORIZED|BASH_.*|ENV|IFS"
    r"|SHELL|SHELLOPTS|BASHOPTS|PS4|PROMPT_COMMAND|PATH|HOME|TMPDIR|PERL5.*|PERLLIB|RUBY.*|GEM_.*|BUNDLE_.*"
    r"|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|CLASSPATH|GCONV_PATH|GLIBC_TUNABLES|MALLOC_.*|NLSPATH|LOCPATH"
    r"|OPENSSL_.*|SSL_CERT_.*|GIT_.*|DOTNET_.*|CORECLR_.*|COMPLUS_.*|LUA_.*|PHP.*|EDITOR|VISUAL|PAGER|BROWSER"
    r"|NPM_CONFIG_(?!REGISTRY$|LOGLEVEL$).*|UV_(?!INDEX_URL$|DEFAULT_INDEX$|INDEX$|HTTP_TIMEOUT$).*"
    r"|PIP_(?!INDEX_URL$|EXTRA_INDEX_URL$|TIMEOUT$).*|YARN_.*|PNPM_.*|COREPACK_.*",
    re.IGNORECASE,
)


def read_spec(fields: Mapping[str, Any]) -> ServerSpec:
    """Return the server that ``fields`` describe, as JSON has them; what is absent, null or empty has its default.

    Raises:
        Invalid: for the first rule that is broken. Values of ``env`` are never part of it.
    """
    given = {str(name): value for name, value in fields.items() if value not in (None, "", [], {}, ())}
    for name in given:
        if name not in FIELDS:
            near = get_close_matches(name, FIELDS, 1)
            raise Invalid(name[:80], "(unknown)", f"did you mean {near[0]!r}?" if near else f"give {', '.join(FIELDS)}")
    kind = _one_of(given, "server_type", SERVER_TYPES, "")
    transport = _one_of(given, "transport", TRANSPORTS, "http" if kind == "archon" else "stdio")
    listens = transport != "stdio"
    spec = ServerSpec(
        name=server_name(given.get("name")),
        server_type=kind,  # type: ignore[arg-type]  # one of its values
        package=_package(given, kind),
        image=_image(given, kind),
        command=_command(given, kind),
        args=_args(given),
        env=_env(given),
        secrets=_secrets(given),
        transport=transport,  # type: ignore[arg-type]  # one of its values
        port=_port(given, kind, listens),
        path=_path(given, transport),
        timeout=_seconds(given, "timeout", 120.0, 1.0, 900.0),
        network=_one_of(given, "network", NETWORKS, "outbound"),  # type: ignore[arg-type]  # one of its values
        idle=_seconds(given, "idle", 0.0, 0.0, 30 * 86400.0),
        limits=read_limits(given.get("limits", {})),
        placement=read_placement(given.get("placement", {})),
    )
    if listens and spec.network == "none":
        raise Invalid("network", "none", "leave it out: a server that listens is reached over a network")
    return spec


def server_name(value: Any) -> str:
    """Return a server's name.

    Raises:
        Invalid: when it is none. It becomes part of a path, a container's and a pod's name, and of labels.
    """
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise Invalid("name", value, "give 1 to 40 characters of a-z, 0-9 and -, with no - at either end")
    return value


def _package(given: Mapping[str, Any], kind: str) -> str:
    value = given.get("package", "")
    if kind not in PACKAGED:
        if value:
            raise Invalid("package", value, f"leave it out: a server of type {kind!r} comes from an image")
        return ""
    npm = kind == "npx"
    if not isinstance(value, str) or len(value) > 214 or not (_NPM if npm else _PYPI).fullmatch(value):
        example = "'@modelcontextprotocol/server-everything@1.0.0'" if npm else "'mcp-server-time==1.0.0'"
        remedy = (
            f"name one package of {'npm' if npm else 'PyPI'}, such as {example}: a name, never a command, URL or path"
        )
        raise Invalid("package", value, remedy)
    return value


def _image(given: Mapping[str, Any], kind: str) -> str:
    value = given.get("image", "")
    if not value:
        if kind == "docker":
            raise Invalid("image", value, "name the image of the server, such as 'mcp/time:1.0'")
        return ""
    if not isinstance(value, str) or len(value) > 400 or not _IMAGE.fullmatch(value):
        raise Invalid(
            "image", value, "give an image reference such as 'registry.example/team/server:1.2', never an option"
        )
    return value


def _command(given: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    value = given.get("command", ())
    if isinstance(value, str) and _PROGRAM.fullmatch(value):
        value = [value]  # one program; nothing is ever split
    if not isinstance(value, list | tuple) or not all(isinstance(part, str) for part in value):
        raise Invalid(
            "command", value, "give argv as a list of texts: no shell reads it, so nothing is split or expanded"
        )
    if not value:
        return ()
    if not _PROGRAM.fullmatch(value[0]) or ".." in value[0].split("/"):
        raise Invalid("command[0]", value[0], "name a program, by name or by its path without '..'")
    if value[0].rsplit("/", 1)[-1] in _SHELLS:
        raise Invalid("command[0]", value[0], "name the server's own program: a shell is never run")
    if kind in PACKAGED:
        return _program_of_package(list(value), kind)
    return (value[0], *_texts("command", list(value[1:])))


def _program_of_package(value: list[str], kind: str) -> tuple[str, ...]:
    if value == [{"uv": "uvx"}.get(kind, kind)]:
        return ()  # said twice
    form = _MODULE if kind == "python" else re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,100}")
    if len(value) > 1 or not form.fullmatch(value[0]):
        what = "the module to run" if kind == "python" else "the program to run"
        raise Invalid(
            "command", value, f"name {what} when it is not called like the package, and put the rest into args"
        )
    return (value[0],)


def _args(given: Mapping[str, Any]) -> tuple[str, ...]:
    value = given.get("args", [])
    if not isinstance(value, list | tuple):
        raise Invalid("args", value, "give a list of texts: no shell reads it, so nothing is split or expanded")
    return _texts("args", list(value))


def _texts(field: str, values: list[Any]) -> tuple[str, ...]:
    if len(values) > MOST_ARGS:
        raise Invalid(field, f"{len(values)} items", f"give at most {MOST_ARGS}")
    for index, value in enumerate(values):
        if not isinstance(value, str) or len(value) > _MOST_TEXT or not _clean(value):
            text = f"give a text of at most {_MOST_TEXT} characters without control characters"
            raise Invalid(f"{field}[{index}]", value, text)
    return tuple(values)


def _clean(text: str) -> bool:
    """True when the text can be an argument of a process and part of a label."""
    return all(char.isprintable() or char in "\n\t" for char in text)


def _env(given: Mapping[str, Any]) -> Mapping[str, str]:
    value = given.get("env", {})
    if not isinstance(value, Mapping) or len(value) > MOST_ENV:
        raise Invalid("env", type(value).__name__, f"give an object of at most {MOST_ENV} names and texts")
    for name, text in value.items():
        _env_name(name, "env")
        if not isinstance(text, str) or "\0" in text:
            raise Invalid(f"env.{name}", "(hidden)", "give a text")
    if sum(len(text.encode("utf-8", "replace")) for text in value.values()) > _MOST_ENV_BYTES:
        raise Invalid("env", "(hidden)", f"give at most {_MOST_ENV_BYTES} bytes in all")
    return MappingProxyType(dict(value))


def _env_name(name: Any, field: str) -> str:
    if not isinstance(name, str) or not _ENV.fullmatch(name):
        raise Invalid(field, name, "name variables by letters, digits and _, at most 64")
    if _LOADERS.fullmatch(name):
        remedy = "leave it out: it would make a loader or interpreter run something else before the server"
        raise Invalid(f"{field}.{name}" if field == "env" else field, name, remedy)
    return name


def _secrets(given: Mapping[str, Any]) -> tuple[Secret, ...]:
    value = given.get("secrets", [])
    if not isinstance(value, list | tuple) or len(value) > MOST_ENV:
        raise Invalid("secrets", type(value).__name__, 'give a list of {"env", "secret", "key"}')
    found = []
    for index, one in enumerate(value):
        field = f"secrets[{index}]"
        if not isinstance(one, Mapping) or not one.keys() <= {"env", "secret", "key"}:
            raise Invalid(field, "(hidden)", 'give {"env": name of the variable, "secret": name, "key": key in it}')
        secret, key = one.get("secret"), one.get("key") or ""
        if not isinstance(secret, str) or ".." in secret or not _REFERENCE.fullmatch(secret):
            raise Invalid(
                f"{field}.secret", "(hidden)", "name a secret by a-z, 0-9, - and .: the name, never the value"
            )
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise Invalid(f"{field}.key", "(hidden)", "name a key by letters, digits, -, _ and .")
        found.append(Secret(_env_name(one.get("env"), f"{field}.env"), secret, key))
    names = [one.env for one in found] + list(given.get("env", ()))
    if len(names) != len(set(names)):
        raise Invalid("secrets", "(hidden)", "name each variable once, in env or in secrets")
    return tuple(found)


def _port(given: Mapping[str, Any], kind: str, listens: bool) -> int:
    value = given.get("port", 0)
    if not listens:
        if value:
            raise Invalid("port", value, "leave it out: a stdio server listens nowhere")
        return 0
    value = value or (8051 if kind == "archon" else 8000)
    if not isinstance(value, int) or isinstance(value, bool) or not 1024 <= value <= 65535:
        raise Invalid("port", value, "give a port from 1024 to 65535: servers have no right to lower ones")
    return value


def _path(given: Mapping[str, Any], transport: str) -> str:
    value = given.get("path", "")
    if transport == "stdio":
        if value:
            raise Invalid("path", value, "leave it out: a stdio server listens nowhere")
        return ""
    value = value or {"http": "/mcp", "sse": "/sse"}[transport]
    if not isinstance(value, str) or len(value) > 200 or not _PATH.fullmatch(value):
        raise Invalid("path", value, "give an absolute path without '..', query or escapes, such as '/mcp'")
    return value


def _one_of(given: Mapping[str, Any], field: str, choices: tuple[str, ...], default: str) -> str:
    value = given.get(field, default)
    if field == "transport" and value in ("streamable-http", "streamable_http"):
        return "http"
    if not isinstance(value, str) or value not in choices:
        raise Invalid(field, value, f"give one of {', '.join(choices)}")
    return value


def _seconds(given: Mapping[str, Any], field: str, default: float, low: float, high: float) -> float:
    value = given.get(field, default)
    fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not fits or not low <= value <= high:
        raise Invalid(field, value, f"give seconds from {low:g} to {high:g}")
    return float(value)
