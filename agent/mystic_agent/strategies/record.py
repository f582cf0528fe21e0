"""record: what the function really gives is kept at the collector, to be replayed elsewhere; see docs/record-replay.md.

The first outcome of each call is kept, by a key of its arguments that means the same in every process; without secrets;
bounded in number and bytes for each process.
"""

from __future__ import annotations

import _thread
import random as chance
from collections.abc import Callable, Mapping
from time import time
from typing import Any

from mystic_agent.cache.key import Unkeyable
from mystic_agent.contract.codec import Unencodable, encode
from mystic_agent.contract.recording import LONGEST_TEXT, LONGEST_VALUE, Recorded
from mystic_agent.redact import cut, describe, kind_name, secret_name, show
from mystic_agent.strategies import Stage, Subject, keyed
from mystic_agent.strategies.decision import Decision, decisions
from mystic_agent.strategies.kept import kept
from mystic_agent.strategies.keyed import Keyed
from mystic_agent.strategies.scrubbed import scrubbed


def refuse(subject: Subject, options: Mapping[str, Any]) -> str:
    """What a generator gives is used up by its caller."""
    if subject.kind in ("generator", "async_generator"):
        return f"record cannot keep what {subject.kind.replace('_', ' ')} functions give: their caller uses it up"
    if subject.archive is None:
        return "record has nowhere to keep results: this process has no collector"
    return keyed.refuse(subject, "record", options)


def make(
    subject: Subject, options: Mapping[str, Any], following: Stage, *, random: Callable[[], float] = chance.random
) -> Stage:
    """Return a stage that keeps outcomes.

    Args:
        random: returns a share from 0 up to 1.
    """
    one, guard = _Recorder(subject, options, random), subject.guard

    async def recorded_async(*values: Any) -> Any:
        key = guard.run("record", one.key, "", values)
        try:
            result = await following(*values)
        except BaseException as error:
            if key:
                guard.run("record", one.failed, None, key, error)
            raise
        if key:
            guard.run("record", one.returned, None, key, result)
        return result

    def recorded(*values: Any) -> Any:
        key = guard.run("record", one.key, "", values)
        try:
            result = following(*values)
        except BaseException as error:
            if key:
                guard.run("record", one.failed, None, key, error)
            raise
        if key:
            guard.run("record", one.returned, None, key, result)
        return result

    return recorded_async if subject.kind == "coroutine" else recorded


class _Done:
    """The calls that are recorded already, and how many bytes they took."""

    def __init__(self) -> None:
        self.calls: dict[str, str] = {}  # key → the arguments for people, until the outcome is there
        self.bytes = 0
        self.lock = _thread.RLock()

    def reset(self) -> None:
        """Take a new lock, as a forked child must; what the parent has recorded needs no second time."""
        self.lock = _thread.RLock()


class _Recorder:
    """Keeps the outcomes of one function."""

    def __init__(self, subject: Subject, options: Mapping[str, Any], random: Callable[[], float]) -> None:
        self.subject, self.random, self.share = subject, random, options["share"]
        self.name: str = options["name"]
        self.keyed = Keyed(subject, options)
        self.most: int = options["count"]
        self.most_bytes: int = options["max_bytes"]
        self.exceptions: bool = options["exceptions"]
        self.redact: tuple[str, ...] = options["redact"]
        self.done = kept(subject, "record", options, _Done)
        self.recorded, self.known, self.full, self.passed = decisions(
            subject, "record", "recorded", "known", "full", "passed"
        )

    def key(self, values: tuple[Any, ...]) -> str:
        """Return the key of a call whose outcome is to be kept, or an empty text; before it may change arguments."""
        done = self.done
        if len(done.calls) >= self.most or done.bytes >= self.most_bytes:
            self.full()
            return ""
        if self.share < 1 and self.random() >= self.share:
            self.passed()
            return ""
        try:
            key = self.keyed.digest(values)
        except Unkeyable as why:
            self.bypass(why.reason)
            return ""
        with done.lock:
            if key in done.calls:
                self.known()
                return ""
            done.calls[key] = ""
        done.calls[key] = self._shown(values)
        return key

    def _shown(self, values: tuple[Any, ...]) -> str:
        named = zip(self.subject.parameters, values, strict=True)
        parts = (
            f"{name}=[redacted]"
            if secret_name(name, self.redact)
            else f"{name}={show(value, length=200, names=self.redact)}"
            for name, value in named
        )
        return cut(", ".join(parts), 500)

    def bypass(self, reason: str) -> None:
        """Count an outcome that cannot be kept."""
        Decision(self.subject, "record", "bypassed", reason)()

    def returned(self, key: str, result: Any) -> None:
        """Keep what a call returned."""
        try:
            value = encode(scrubbed(result, self.redact), LONGEST_VALUE)
        except Unencodable as why:
            self.bypass(f"result: {why.reason}")
            return
        self._keep(key, Recorded(self.subject.name, key, value=value))

    def failed(self, key: str, error: BaseException) -> None:
        """Keep what a call raised; one that has no outcome to be kept lets a later call stand for it."""
        if not isinstance(error, Exception):  # cancelled, or the end of the program
            del self.done.calls[key]
            return
        if not self.exceptions:
            del self.done.calls[key]
            self.bypass("it raised")
            return
        message = (describe(error) or ("", ""))[1]
        self._keep(key, Recorded(self.subject.name, key, error=kind_name(type(error)), message=message))

    def _keep(self, key: str, outcome: Recorded) -> None:
        done, archive = self.done, self.subject.archive
        with done.lock:
            done.bytes += len(outcome.value) + len(outcome.message)
        call, done.calls[key] = done.calls[key], ""
        assert archive is not None  # noqa: S101 -- see refuse
        archive.keep(self.name, outcome._replace(call=call[:LONGEST_TEXT], at=time()))
        self.recorded()
