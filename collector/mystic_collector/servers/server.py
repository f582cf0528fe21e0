"""One managed server as it is now, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mystic_collector.servers.spec import ServerSpec

State = Literal["starting", "running", "stopped", "failed"]
STATES: tuple[State, ...] = ("starting", "running", "stopped", "failed")


@dataclass(frozen=True, slots=True)
class Server:
    """One server at one moment.

    Attributes:
        detail: what it is doing while it starts ("pulling the image, 40 %"), or why it failed, for people.
        remedy: what to do about a failure.
        mode: ``docker`` or ``kubernetes``: what runs it.
        identity: of its container or pod, where that is.
        engine_state: in the engine's own word ("exited", "CrashLoopBackOff").
        created_at, started_at: Unix seconds; 0 when that has not happened.
        restarts: how often its process was begun again.
        progress: 0 to 1 while an image is pulled, else None.
        cause: of a failure, in one word that figures are kept by: ``image``, ``program``, ``port``, ``memory``,
            ``exit``, ``killed``; of a pod also ``deleted``, ``node``, ``configuration``, ``container``; or the code of
            the error that refused it; empty where it did not fail.
    """

    spec: ServerSpec
    state: State
    mode: str
    detail: str = ""
    remedy: str = ""
    identity: str = ""
    engine_state: str = ""
    created_at: float = 0.0
    started_at: float = 0.0
    restarts: int = 0
    progress: float | None = None
    cause: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What people call it."""
        return self.spec.name

    def to_json(self) -> dict[str, Any]:
        """Return it as the API and the sidecar have it; no value of ``env`` is in it."""
        return {
            "name": self.name,
            "state": self.state,
            "mode": self.mode,
            "detail": self.detail,
            "remedy": self.remedy,
            "identity": self.identity,
            "engine_state": self.engine_state,
            "created_at": self.created_at,
            "started_at": self.started_at,
            "restarts": self.restarts,
            "progress": self.progress,
            "cause": self.cause,
            "facts": dict(self.facts),
            "spec": self.spec.to_json(),
        }


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of what a server wrote, without control characters.

    Attributes:
        time: Unix seconds.
        stream: ``stdout`` or ``stderr``; of a stdio server only stderr is log, stdout is protocol.
    """

    time: float
    stream: Literal["stdout", "stderr"]
    text: str

    def to_json(self) -> dict[str, Any]:
        """Return ``{"time", "stream", "text"}``."""
        return {"time": self.time, "stream": self.stream, "text": self.text}


@dataclass(frozen=True, slots=True)
class Health:
    """Whether servers can be run here.

    Attributes:
        reason: in plain language, when they cannot.
        remedy: what to do then.
    """

    ok: bool
    mode: str
    reason: str = ""
    remedy: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as the API has it."""
        return {
            "healthy": self.ok,
            "mode": self.mode,
            "reason": self.reason,
            "remedy": self.remedy,
            **self.facts,
        }


def plain(text: str, most: int = 4000) -> str:
    """Return a line of foreign text without control characters, bounded."""
    return "".join(char if char.isprintable() or char == "\t" else " " for char in text[:most])
