"""snapshot: single calls in full, without a debugger: what went in, what came out, from where, and what failed inside.

A snapshot is an event ``mystic.snapshot`` whose body is JSON: ``arguments``, ``arguments_at``, ``result``,
``exception`` (with the local variables of the application's frames) and ``caller``. A condition that asks for
arguments alone is decided before the call, and the arguments are shown as they were then; otherwise they are shown as
the call has left them.
"""

from __future__ import annotations

import _thread
from collections.abc import Callable, Mapping
from time import monotonic_ns, time_ns
from typing import Any

from mystic_agent.contract import wire
from mystic_agent.contract.named import NamedTuple
from mystic_agent.observe import events
from mystic_agent.redact import Picture
from mystic_agent.strategies import Stage, Subject
from mystic_agent.strategies.bucket import Bucket
from mystic_agent.strategies.condition import Condition, Ended
from mystic_agent.strategies.decision import Decision
from mystic_agent.strategies.frames import Frames, task_name, thread_name
from mystic_agent.strategies.kept import kept
from mystic_agent.strategies.watch import arguments, refuse_generators, watched


def refuse(subject: Subject, options: Mapping[str, Any]) -> str:
    """The condition can only ask for what the function has."""
    problem = Condition(options["when"], subject.parameters).problem
    return f"snapshot.{problem}" if problem else refuse_generators(subject, "snapshot")


def make(
    subject: Subject, options: Mapping[str, Any], following: Stage, *, clock: Callable[[], int] = monotonic_ns
) -> Stage:
    """Return a stage that takes the snapshots ``options`` asks for.

    Args:
        clock: nanoseconds, monotonic; for the rate.
    """
    return watched(subject, "snapshot", _Camera(subject, options, clock), following)


class Film:
    """How many snapshots are left in this process, and how many a second. Exact under threads."""

    def __init__(self, count: int, rate: float, clock: Callable[[], int]) -> None:
        self.count = count
        self.taken = 0
        self._bucket = Bucket(rate, 1.0, 0, clock)
        self._lock = _thread.RLock()

    @property
    def spent(self) -> bool:
        """True when none is left."""
        return self.taken >= self.count

    def take(self) -> int:
        """Return the number of the next one, counted from 1; 0 when there is none now."""
        with self._lock:
            if self.spent or self._bucket.take(0) is None:
                return 0
            self.taken += 1
            return self.taken

    def reset(self) -> None:
        """Begin anew, as a forked child must: it is a process of its own."""
        self._lock = _thread.RLock()
        self._bucket.reset()
        self.taken = 0


class _Begun(NamedTuple):
    """A call that is looked at: when it began, and, when it is decided already, its number and its arguments."""

    at_ns: int
    number: int = 0
    picture: Picture | None = None
    arguments: Mapping[str, str] | None = None


class _Camera:
    """Takes the snapshots of one function."""

    def __init__(self, subject: Subject, options: Mapping[str, Any], clock: Callable[[], int]) -> None:
        import json

        self.subject = subject
        self.options = options
        self.condition = Condition(options["when"], subject.parameters)
        self.early = self.condition.early
        self.film = kept(subject, "snapshot", options, lambda: Film(options["count"], options["rate"], clock))
        self.frames = Frames(subject, options["frames"])
        self.encode = json.JSONEncoder(ensure_ascii=False).encode
        self.taken, self.passed = Decision(subject, "snapshot", "taken"), Decision(subject, "snapshot", "passed")
        self.limited = Decision(subject, "snapshot", "limited", "more than the rate allows")
        self.spent = Decision(subject, "snapshot", "spent", "all snapshots are taken")

    def skips(self, values: tuple[Any, ...]) -> bool:
        """Leave out what the arguments alone decide against."""
        film = self.film
        if film.taken >= film.count:
            self.spent()
            return True
        if not self.early or self.condition.met(values):
            return False
        self.passed()
        return True

    def begin(self, values: tuple[Any, ...]) -> _Begun | None:
        """Decide now when arguments are all that the condition asks for; they meet it."""
        at = time_ns()
        if not self.early:
            return _Begun(at)
        number = self._wanted(True)
        if not number:
            return None
        picture = self._picture()
        return _Begun(at, number, picture, arguments(self.subject, values, picture, self.options["fields"]))

    def end(self, begun: _Begun, values: tuple[Any, ...], ended: Ended) -> None:
        """Take the snapshot, unless the outcome decides against it."""
        number = begun.number or self._wanted(self.condition.met(values, ended))
        if not number:
            return
        picture, shown = begun.picture or self._picture(), begun.arguments
        when = "call" if shown is not None else "end"
        if shown is None:
            shown = arguments(self.subject, values, picture, self.options["fields"])
        content: dict[str, Any] = {
            "arguments": shown,
            "arguments_at": when,
            "result": picture.show(ended.result) if ended.error is None else None,
            "exception": self.frames.exception(ended.error, picture, locals_=self.options["locals"]),
            "caller": self.frames.caller(picture),
        }
        self._tell(begun, number, ended, self.encode(content))

    def _wanted(self, met: bool) -> int:
        """Return the number of the snapshot to be taken, or 0; decide and count."""
        number = self.film.take() if met else 0
        decided = self.taken if number else self.passed if not met else self.spent if self.film.spent else self.limited
        decided()
        return number

    def _picture(self) -> Picture:
        options = self.options
        return Picture(
            depth=options["depth"],
            length=options["length"],
            items=options["fields"],
            names=options["redact"],
            room=options["size"],
        )

    def _tell(self, begun: _Begun, number: int, ended: Ended, body: str) -> None:
        failed = ended.error is not None
        last = number >= self.film.count
        told: dict[str, Any] = {
            wire.OUTCOME: "raised" if failed else "returned",
            wire.SECONDS: round(ended.seconds, 9),
            "mystic.started_ns": begun.at_ns,
            "mystic.snapshot.number": number,
            "mystic.snapshot.count": self.film.count,
            "mystic.hijack": self.subject.hijack,
            "thread.id": _thread.get_ident(),
            "thread.name": thread_name(),
            "mystic.task": task_name(),
        }
        told = {key: value for key, value in told.items() if value != ""}
        self.subject.events.put(wire.SNAPSHOT_EVENT, body, severity=events.ERROR if failed else events.INFO, **told)
        if last:
            self.subject.note(self.subject.hijack, "snapshot", f"all {number} snapshots are taken in this process")
