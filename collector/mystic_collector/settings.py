"""Settings of the collector: environment over file over default, read once, frozen, refused when wrong."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mystic_agent.contract.duration import seconds
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.strategy import STRATEGIES

from mystic_collector.destination import Destination, is_near, read_destinations
from mystic_collector.engine import Engine, read_engine
from mystic_collector.meeting import Meeting, read_meeting

RUNS_SERVERS = ("auto", "docker", "sidecar", "off")
SERVED_TYPES = ("archon", "npx", "uv", "python")
LEVELS = ("debug", "info", "warning", "error", "critical")
_SIZE = re.compile(r"(\d+)\s*(b|kb|mb|gb|kib|mib|gib)?", re.IGNORECASE)
_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the collector was told.

    Attributes:
        host: address to bind; ``0.0.0.0`` for all.
        port: TCP port; 0 lets the system choose.
        project_root: the source that may be read; absolute.
        data_dir: where SQLite files live; created at start.
        api_key: the key callers must show, or empty for none; never in a repr.
        allowed_hosts: further names accepted in the Host header, lower case, without port; ``*`` accepts any.
        allowed_origins: further values accepted in the Origin header.
        store: the engine that keeps telemetry for several collectors; None: a file in ``data_dir``.
        retention_seconds: age after which spans, points and history go.
        retention_bytes: size of the telemetry that is kept at most.
        max_body_bytes: largest request body as sent.
        max_inflated_bytes: largest request body after decompression.
        max_queue_bytes: spans and points waiting for the writer; more is answered with 429.
        cache_bytes: size of the shared cache entries at most.
        recordings_bytes: size of all recordings together at most.
        max_functions: distinct function names kept; further ones share one overflow name.
        head_timeout: seconds a client may take to send the head of a request.
        body_timeout: seconds a client may take to send a body of telemetry.
        trace_ui: address of a trace in another UI, with ``{trace_id}`` in it; empty for none.
        chat_read_only: the chat may look and not change.
        oauth_issuer: whose access tokens the chat accepts beside the key; empty for none.
        oauth_resource: the chat's public address, which tokens must be meant for.
        oauth_jwks: where the issuer's keys are; empty: where its metadata says.
        oauth_scope: scopes a token must have, separated by spaces.
        max_waiting: connections without a request; above it the longest waiting are closed.
        default_expiry: seconds after which a hijack that changes behaviour ends when nothing is said; None: never.
        allowed_strategies: names of those that hijacks may use; None for all.
        own_traces: the collector's own work is traced.
        forward: whom OTLP is sent on to.
        forward_bytes: that wait on disk for each of them at most.
        servers: what may run managed MCP servers: ``auto``, ``docker``, ``sidecar`` or ``off``.
        sidecar_url: of the Kubernetes sidecar.
        sidecar_token: what is shown to it; never in a repr.
        sidecar_token_file: where that is, when it is not given; the sidecar may make it later.
        servers_max: managed servers at a time.
        servers_max_sessions: sessions of one stdio server at a time; each is a process.
        servers_secrets: the folder that holds their secrets as files.
        servers_images: server type → image it runs in, where that is not the usual one.
        off: keeps every process switched off for as long as this collector runs.
        fleet: where collectors meet that are one; None: this one is alone.
    """

    host: str = "127.0.0.1"
    port: int = 8899
    project_root: Path = field(default_factory=Path.cwd)
    data_dir: Path = field(default_factory=lambda: Path.cwd() / ".mystic" / "data")
    log_level: str = "info"
    api_key: str = field(default="", repr=False)
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    store: Engine | None = None
    retention_seconds: float = 7 * 86400.0
    retention_bytes: int = 2**30
    max_body_bytes: int = 4 * 2**20
    max_inflated_bytes: int = 16 * 2**20
    max_queue_bytes: int = 32 * 2**20
    cache_bytes: int = 256 * 2**20
    recordings_bytes: int = 256 * 2**20
    max_functions: int = 50_000
    default_expiry: float | None = 7 * 86400.0
    allowed_strategies: frozenset[str] | None = None
    own_traces: bool = True
    forward: tuple[Destination, ...] = ()
    forward_bytes: int = 256 * 2**20
    servers: str = "auto"
    sidecar_url: str = "http://localhost:8053"
    sidecar_token: str = field(default="", repr=False)
    sidecar_token_file: Path | None = None
    servers_max: int = 20
    servers_max_sessions: int = 8
    servers_secrets: Path | None = None
    servers_images: Mapping[str, str] = field(default_factory=dict)
    off: bool = False
    fleet: Meeting | None = None
    head_timeout: float = 10.0
    body_timeout: float = 15.0
    max_waiting: int = 4_000
    trace_ui: str = ""
    chat_read_only: bool = False
    oauth_issuer: str = ""
    oauth_resource: str = ""
    oauth_jwks: str = ""
    oauth_scope: str = ""

    @property
    def near(self) -> bool:
        """Whether only this machine reaches what is bound."""
        return is_near(self.host)


def load(environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> Settings:
    """Read the environment; an empty value means unset.

    Raises:
        Invalid: naming the variable, its value and the remedy. A secret's value is never part of it.
    """
    env = {name: value for name, value in (os.environ if environ is None else environ).items() if value.strip()}
    root = _folder(env, "PROJECT_ROOT", cwd or Path.cwd())
    return Settings(
        host=env.get("MYSTIC_HOST", "127.0.0.1").strip(),
        port=_whole(env, "MYSTIC_PORT", 8899, 0, 65535),
        project_root=root,
        data_dir=Path(env.get("MYSTIC_DATA_DIR", root / ".mystic" / "data")).absolute(),
        log_level=_level(env),
        api_key=read_key(env),
        allowed_hosts=tuple(name.lower() for name in _listed(env, "MYSTIC_ALLOWED_HOSTS")),
        allowed_origins=_listed(env, "MYSTIC_ALLOWED_ORIGINS"),
        store=read_engine(env),
        retention_seconds=seconds(env.get("MYSTIC_RETENTION", "7d"), "MYSTIC_RETENTION"),
        retention_bytes=_size(env, "MYSTIC_RETENTION_BYTES", 2**30),
        max_body_bytes=_size(env, "MYSTIC_MAX_BODY", 4 * 2**20),
        max_inflated_bytes=_size(env, "MYSTIC_MAX_INFLATED", 16 * 2**20),
        max_queue_bytes=_size(env, "MYSTIC_MAX_QUEUE", 32 * 2**20),
        cache_bytes=_size(env, "MYSTIC_CACHE_BYTES", 256 * 2**20),
        recordings_bytes=_size(env, "MYSTIC_RECORDINGS_BYTES", 256 * 2**20),
        max_functions=_whole(env, "MYSTIC_MAX_FUNCTIONS", 50_000, 1, 1_000_000),
        default_expiry=_expiry(env, "MYSTIC_DEFAULT_EXPIRY", "7d"),
        allowed_strategies=_strategies(env, "MYSTIC_ALLOWED_STRATEGIES"),
        own_traces=read_truth(env, "MYSTIC_OWN_TRACES", unset=True),
        forward=read_destinations(
            env.get("MYSTIC_FORWARD", ""),
            env.get("MYSTIC_FORWARD_HEADERS_FILE", ""),
            env.get("MYSTIC_FORWARD_COMPRESSION", "gzip"),
            seconds(env.get("MYSTIC_FORWARD_TIMEOUT", "10s"), "MYSTIC_FORWARD_TIMEOUT"),
        ),
        forward_bytes=_size(env, "MYSTIC_FORWARD_BYTES", 256 * 2**20),
        off=read_truth(env, "MYSTIC_OFF"),
        fleet=read_meeting(env),
        trace_ui=_trace_ui(env),
        chat_read_only=read_truth(env, "MYSTIC_CHAT_READ_ONLY"),
        **_oauth(env),
        **_servers(env),
    )


def _oauth(env: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of the chat as an OAuth resource server."""
    names = {
        "oauth_issuer": "MYSTIC_OAUTH_ISSUER",
        "oauth_resource": "MYSTIC_OAUTH_RESOURCE",
        "oauth_jwks": "MYSTIC_OAUTH_JWKS",
        "oauth_scope": "MYSTIC_OAUTH_SCOPE",
    }
    found = {one: env.get(name, "").strip() for one, name in names.items()}
    for one in ("oauth_issuer", "oauth_resource", "oauth_jwks"):
        if found[one] and not found[one].startswith(("https://", "http://")):
            raise Invalid(names[one], found[one], "give an https address")
    if found["oauth_issuer"]:
        resource = found["oauth_resource"]
        if not re.fullmatch(r"https?://[^/]+/mcp", resource):
            raise Invalid("MYSTIC_OAUTH_RESOURCE", resource, "give the chat's public address, https://…/mcp")
        if not read_key(env):
            raise Invalid("MYSTIC_API_KEY", "", "set a key too: with tokens for the chat alone the API would stay open")
    return found


def _trace_ui(env: Mapping[str, str]) -> str:
    """Return where a browser finds a trace elsewhere."""
    address = env.get("MYSTIC_TRACE_UI", "").strip()
    if address and not (re.match(r"https?://[^/\s]", address) and "{trace_id}" in address):
        example = "http://localhost:16686/trace/{trace_id}"
        raise Invalid("MYSTIC_TRACE_UI", address, f"give an address with {{trace_id}} in it, such as {example}")
    return address


def _servers(env: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of managed MCP servers."""
    wanted = env.get("MYSTIC_SERVERS", "auto").strip().lower()
    if wanted not in RUNS_SERVERS:
        raise Invalid("MYSTIC_SERVERS", wanted, f"give one of {', '.join(RUNS_SERVERS)}")
    url = env.get("MCP_SIDECAR_URL", "http://localhost:8053").strip().rstrip("/")
    if not re.fullmatch(r"https?://[A-Za-z0-9.\[\]:-]+", url):
        raise Invalid("MCP_SIDECAR_URL", url, "give scheme, host and port, such as http://localhost:8053")
    images = {}
    for pair in _listed(env, "MYSTIC_SERVERS_IMAGES"):
        kind, equals, image = pair.partition("=")
        if not (equals and image and kind in SERVED_TYPES):
            raise Invalid("MYSTIC_SERVERS_IMAGES", pair, f"give TYPE=IMAGE, with a type of {', '.join(SERVED_TYPES)}")
        images[kind] = image
    return {
        "servers": wanted,
        "sidecar_url": url,
        "sidecar_token": env.get("MCP_SIDECAR_TOKEN", "").strip(),
        "sidecar_token_file": Path(env["MCP_SIDECAR_TOKEN_FILE"].strip()) if "MCP_SIDECAR_TOKEN_FILE" in env else None,
        "servers_max": _whole(env, "MYSTIC_SERVERS_MAX", 20, 1, 1000),
        "servers_max_sessions": _whole(env, "MYSTIC_SERVERS_MAX_SESSIONS", 8, 1, 1000),
        "servers_secrets": _folder(env, "MYSTIC_SERVERS_SECRETS", Path()) if "MYSTIC_SERVERS_SECRETS" in env else None,
        "servers_images": images,
    }


def read_key(env: Mapping[str, str]) -> str:
    """Return the API key from ``MYSTIC_API_KEY`` or the file ``MYSTIC_API_KEY_FILE`` names; empty when neither is set.

    Raises:
        Invalid: when the file cannot be read, or the key is not printable ASCII; the key itself is not shown.
    """
    key = env.get("MYSTIC_API_KEY", "").strip()
    path = env.get("MYSTIC_API_KEY_FILE", "").strip()
    if not key and path:
        try:
            key = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid("MYSTIC_API_KEY_FILE", path, f"name a readable text file ({error})") from error
        if not key:
            raise Invalid("MYSTIC_API_KEY_FILE", path, "put the key on the first line; the file is empty")
    if not (key.isascii() and (key.isprintable() or not key)):
        raise Invalid("MYSTIC_API_KEY", "(hidden)", "use printable ASCII characters only")
    return key


def read_truth(env: Mapping[str, str], name: str, unset: bool = False) -> bool:
    """Return a setting that is on or off; ``unset`` when it is not set.

    Raises:
        Invalid: when it is neither.
    """
    text = env.get(name, "").strip().lower()
    if text in ("true", "1", "yes", "on"):
        return True
    if text in ("false", "0", "no", "off"):
        return False
    if not text:
        return unset
    raise Invalid(name, text, "give true or false")


def _folder(env: Mapping[str, str], name: str, default: Path) -> Path:
    path = Path(env.get(name, default)).expanduser().absolute()
    if not path.is_dir():
        raise Invalid(name, str(path), "name an existing folder")
    return path


def _whole(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = env.get(name, str(default)).strip()
    if text.isascii() and text.isdigit() and low <= int(text) <= high:
        return int(text)
    raise Invalid(name, text, f"give a whole number from {low} to {high}")


def _size(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, str(default)).strip()
    match = _SIZE.fullmatch(text)
    amount = int(match[1]) * _UNITS[(match[2] or "b").lower()] if match else 0
    if not 1024 <= amount <= 2**50:
        raise Invalid(name, text, "give bytes from 1024, such as '512MiB'")
    return amount


def _expiry(env: Mapping[str, str], name: str, default: str) -> float | None:
    text = env.get(name, default).strip()
    return None if text == "never" else seconds(text, name)


def _strategies(env: Mapping[str, str], name: str) -> frozenset[str] | None:
    if name not in env:
        return None
    given = _listed(env, name)
    for one in given:
        if one not in STRATEGIES:
            raise Invalid(name, one, f"name strategies, comma-separated; known are {', '.join(sorted(STRATEGIES))}")
    return frozenset(given)


def _level(env: Mapping[str, str]) -> str:
    level = env.get("LOG_LEVEL", "info").strip().lower()
    if level not in LEVELS:
        raise Invalid("LOG_LEVEL", level, f"give one of {', '.join(LEVELS)}")
    return level


def _listed(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in env.get(name, "").split(",") if part.strip())
