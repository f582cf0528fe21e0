"""From what the engine says of a container to a :class:`Server` in plain language; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mystic_collector.servers.docker.container import RESTARTS
from mystic_collector.servers.server import Server
from mystic_collector.servers.spec import ServerSpec
from mystic_collector.servers.told import seconds, whole
from mystic_collector.servers.verdict import Verdict, exited, not_begun, out_of_memory

MODE = "docker"


def server_of(spec: ServerSpec, attributes: Mapping[str, Any], last_words: str = "") -> Server:
    """Return a server from its inspected container.

    Args:
        last_words: the last line it wrote, for the cause of a failure.
    """
    told = attributes.get("State") or {}
    found = judge(told, spec, last_words)
    return Server(
        spec=spec,
        state=found.state,
        mode=MODE,
        detail=found.detail,
        remedy=found.remedy,
        cause=found.cause,
        identity=str(attributes.get("Id", ""))[:12],
        engine_state=str(told.get("Status", "")),
        created_at=seconds(attributes.get("Created")),
        started_at=seconds(told.get("StartedAt")),
        restarts=whole(((attributes.get("Config") or {}).get("Labels") or {}).get(RESTARTS)),
        facts={"image": (attributes.get("Config") or {}).get("Image", "")},
    )


def judge(told: Mapping[str, Any], spec: ServerSpec, last_words: str = "") -> Verdict:
    """Return what a container's ``State`` means."""
    match told.get("Status", ""):
        case "running":
            return Verdict("running")
        case "created" | "restarting":
            return Verdict("starting", "its container is being started")
        case "removing":
            return Verdict("stopped", "it is being taken away")
        case "paused":
            return Verdict("stopped", "its container is paused", "'docker unpause' it, or restart the server")
        case _:
            return _ended(told, spec, last_words)


def _ended(told: Mapping[str, Any], spec: ServerSpec, last_words: str) -> Verdict:
    if told.get("OOMKilled"):
        return out_of_memory(spec)
    if error := str(told.get("Error") or ""):
        return not_begun(error)
    return exited(whole(told.get("ExitCode")), last_words)
