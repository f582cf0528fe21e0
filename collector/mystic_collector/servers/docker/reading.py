"""From what the engine says of a container to a :class:`Server` in plain language; pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from mystic_collector.servers.docker.container import RESTARTS
from mystic_collector.servers.server import Server, State
from mystic_collector.servers.spec import ServerSpec

MODE = "docker"
_KILLED = 128 + 9
_ENDED_BY_US = (0, 128 + 15, 128 + 2)
_PROGRAM = (125, 126, 127)
_CODES = {
    125: "the engine could not start it",
    126: "its program may not be executed",
    127: "its program was not found in the image",
    134: "it aborted (SIGABRT)",
    139: "it crashed (SIGSEGV)",
}


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
        restarts=_whole(((attributes.get("Config") or {}).get("Labels") or {}).get(RESTARTS)),
        facts={"image": (attributes.get("Config") or {}).get("Image", "")},
    )


class Verdict(NamedTuple):
    """What a container's state means; the fields are those of :class:`Server`."""

    state: State
    detail: str = ""
    remedy: str = ""
    cause: str = ""


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
        detail = f"out of memory: it needed more than {spec.limits.memory / 2**20:.0f} MiB"
        return Verdict("failed", detail, "raise limits.memory, or give it less to do", "memory")
    if error := " ".join(str(told.get("Error") or "").split())[:300]:
        return Verdict("failed", f"it could not be started: {error}", "choose another image or command", "program")
    code = _whole(told.get("ExitCode"))
    if code in _ENDED_BY_US:
        return Verdict("stopped", "it has ended by itself" if code == 0 else "it was asked to end", "restart it")
    said = f": {last_words}" if last_words else ""
    if code == _KILLED:
        return Verdict("failed", f"it was killed from outside{said}", "read its logs", "killed")
    reason = _CODES.get(code, f"it ended with exit code {code}")
    return Verdict("failed", f"{reason}{said}", "read its logs", "program" if code in _PROGRAM else "exit")


def seconds(text: object) -> float:
    """Return Unix seconds of the engine's RFC 3339 time; 0 for none."""
    if not isinstance(text, str) or text.startswith("0001-"):
        return 0.0
    whole, dot, rest = text.partition(".")
    digits = "".join(char for char in rest if char.isdigit())[:6] if dot else "0"
    try:
        return datetime.fromisoformat(f"{whole.rstrip('Z')}.{digits.ljust(6, '0')}+00:00").timestamp()
    except ValueError:
        return 0.0


def _whole(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0
