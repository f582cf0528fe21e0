"""Settings of the sidecar: environment over default, read once, frozen, refused when wrong."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mystic_agent.contract.errors import Invalid

from mystic_collector.settings import load as load_collector

PULL_POLICIES = ("IfNotPresent", "Always", "Never")
RESTARTS = ("Never", "OnFailure")
REACHES = ("address", "forward")
_NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PREFIX = re.compile(r"[a-z](?:[a-z0-9-]{0,22}[a-z0-9])?")
_CONTEXT = re.compile(r"[A-Za-z0-9@:._/-]{1,253}")


@dataclass(frozen=True, slots=True)
class SidecarSettings:
    """What the sidecar was told.

    Attributes:
        host, port: address to bind; loopback, since the collector is in the same pod.
        token: what callers must show; empty when only ``token_file`` is known.
        token_file: where the token is, and is put when nothing is there yet.
        namespace: of the pods, in every cluster whose context names none.
        prefix: of the pods' names, and whose they are: two sidecars in a namespace need two prefixes.
        contexts: of the kubeconfig, beside the own cluster, in which servers may be placed.
        pull_policy: of images.
        restart: what becomes of a server that listens and has failed.
        reach: how servers that listen are reached: by their pod's address, or by a port that the API server forwards.
        grace: seconds that a server has to end.
        most, most_sessions: servers at a time, and sessions of one stdio server.
        images: server type → image, where that is not the usual one.
        secrets: a folder with the values of secrets, only to hide them in logs.
        own_traces: its part of a trace that the collector asks in is told to the collector.
        collector_port: of the collector, on loopback, since it is in the same pod.
    """

    host: str = "127.0.0.1"
    port: int = 8053
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    namespace: str = "archon"
    prefix: str = "archon-mcp"
    contexts: tuple[str, ...] = ()
    pull_policy: str = "IfNotPresent"
    restart: str = "Never"
    reach: str = "address"
    grace: int = 2
    most: int = 20
    most_sessions: int = 8
    images: Mapping[str, str] = field(default_factory=dict)
    secrets: Path | None = None
    log_level: str = "info"
    own_traces: bool = True
    collector_port: int = 8899


def load(environ: Mapping[str, str] | None = None) -> SidecarSettings:
    """Read the environment; an empty value means unset.

    Raises:
        Invalid: naming the variable, its value and the remedy. The token is never part of it.
    """
    env = {name: value.strip() for name, value in (os.environ if environ is None else environ).items() if value.strip()}
    common = ("LOG_LEVEL", "MYSTIC_SERVERS_", "MYSTIC_OWN_TRACES", "MYSTIC_PORT")
    shared = load_collector({name: env[name] for name in env if name.startswith(common)})
    token, file = env.get("MCP_SIDECAR_TOKEN", ""), env.get("MCP_SIDECAR_TOKEN_FILE", "")
    if not token and not file:
        remedy = "set it, or MCP_SIDECAR_TOKEN_FILE to a file on a volume that the collector shares; it is made there"
        raise Invalid("MCP_SIDECAR_TOKEN", "", remedy)
    if not (token.isascii() and (token.isprintable() or not token)):
        raise Invalid("MCP_SIDECAR_TOKEN", "(hidden)", "use printable ASCII characters only")
    return SidecarSettings(
        host=env.get("MCP_SIDECAR_HOST", "127.0.0.1"),
        port=_whole(env, "MCP_SIDECAR_PORT", 8053, 65535),
        token=token,
        token_file=Path(file) if file and not token else None,
        namespace=_matching(env, "KUBERNETES_NAMESPACE", "archon", _NAMESPACE),
        prefix=_matching(env, "MCP_SIDECAR_PREFIX", "archon-mcp", _PREFIX),
        contexts=_contexts(env),
        pull_policy=_one_of(env, "MCP_SIDECAR_PULL_POLICY", PULL_POLICIES),
        restart=_one_of(env, "MCP_SIDECAR_RESTART", RESTARTS),
        reach=_one_of(env, "MCP_SIDECAR_REACH", REACHES),
        grace=_whole(env, "MCP_SIDECAR_GRACE", 2, 600),
        most=shared.servers_max,
        most_sessions=shared.servers_max_sessions,
        images=shared.servers_images,
        secrets=shared.servers_secrets,
        log_level=shared.log_level,
        own_traces=shared.own_traces,
        collector_port=shared.port,
    )


def _whole(env: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = env.get(name, str(default))
    if text.isascii() and text.isdigit() and int(text) <= most:
        return int(text)
    raise Invalid(name, text, f"give a whole number from 0 to {most}")


def _matching(env: Mapping[str, str], name: str, default: str, form: re.Pattern[str]) -> str:
    text = env.get(name, default)
    if form.fullmatch(text):
        return text
    raise Invalid(name, text, "use a-z, 0-9 and -, beginning and ending with a letter or digit, and keep it short")


def _one_of(env: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    text = env.get(name, allowed[0])
    if text in allowed:
        return text
    raise Invalid(name, text, f"give one of {', '.join(allowed)}")


def _contexts(env: Mapping[str, str]) -> tuple[str, ...]:
    found = tuple(part.strip() for part in env.get("MCP_SIDECAR_CONTEXTS", "").split(",") if part.strip())
    for one in found:
        if not _CONTEXT.fullmatch(one):
            raise Invalid("MCP_SIDECAR_CONTEXTS", one, "name contexts of the kubeconfig, comma-separated")
    return found
