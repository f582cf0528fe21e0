"""replay: recorded outcomes stand in for the function, in whatever process and stage; see docs/record-replay.md.

They are loaded in the background when the hijack is put in force; until then the function itself is called. A share of
calls may go to the function as well: their callers get what it gives now, and where that is no longer what was
recorded, the drift is counted and told.
"""

from __future__ import annotations

import random as chance
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mystic_agent.cache.key import Unkeyable
from mystic_agent.contract.codec import Unencodable, decode
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.recording import Recorded
from mystic_agent.guard import FAULTS
from mystic_agent.redact import kind_name
from mystic_agent.strategies import Stage, Subject, keyed
from mystic_agent.strategies.answer import Value, raised, returned
from mystic_agent.strategies.compare import Difference, Incomparable, Tolerance, difference
from mystic_agent.strategies.decision import Decision, decisions
from mystic_agent.strategies.kept import kept
from mystic_agent.strategies.keyed import Keyed
from mystic_agent.strategies.raised import Raised
from mystic_agent.strategies.scrubbed import scrubbed

MOST = 10_000
MOST_BYTES = 32 * 2**20
EVENT = "mystic.drift"


def refuse(subject: Subject, options: Mapping[str, Any]) -> str:
    """What a generator gives was not recorded."""
    if subject.kind in ("generator", "async_generator"):
        return f"replay cannot stand in for {subject.kind.replace('_', ' ')} functions: they are not recorded"
    if subject.archive is None:
        return "replay has nothing to load from: this process has no collector"
    return keyed.refuse(subject, "replay", options)


def make(
    subject: Subject, options: Mapping[str, Any], following: Stage, *, random: Callable[[], float] = chance.random
) -> Stage:
    """Return a stage that gives recorded outcomes.

    Args:
        random: returns a share from 0 up to 1.
    """
    one, guard, kind = _Replayer(subject, options, random), subject.guard, subject.kind
    one.begin()

    async def checked_async(outcome: _Outcome, values: tuple[Any, ...]) -> Any:
        try:
            result = await following(*values)
        except FAULTS as error:
            guard.run("replay", one.compare, None, outcome, None, error)
            raise
        guard.run("replay", one.compare, None, outcome, result, None)
        return result

    def checked(outcome: _Outcome, values: tuple[Any, ...]) -> Any:
        try:
            result = following(*values)
        except FAULTS as error:
            guard.run("replay", one.compare, None, outcome, None, error)
            raise
        guard.run("replay", one.compare, None, outcome, result, None)
        return result

    check = checked_async if kind == "coroutine" else checked

    def replayed(*values: Any) -> Any:
        outcome, made = guard.run("replay", one.find, _PASS, values)
        if made is not None:
            fails, what = made
            return raised(kind, what) if fails else returned(kind, what)
        return following(*values) if outcome is None else check(outcome, values)

    return replayed


class _Outcome:
    """One recorded outcome, made ready.

    Attributes:
        recorded: what came from the collector.
        value: what was returned, unless it raised.
        error: what was raised, unless it returned.
    """

    __slots__ = ("error", "recorded", "value", "what")

    def __init__(self, recorded: Recorded, allowed: Callable[[str], bool]) -> None:
        self.recorded = recorded
        self.error = Raised(recorded.error, recorded.message, allowed) if recorded.error else None
        self.value = None if recorded.error else decode(recorded.value)
        self.what = None if recorded.error else Value(self.value)

    def make(self) -> tuple[bool, Any]:
        """Return (raises, what) for one caller."""
        if self.error is not None:
            return True, self.error.make()
        assert self.what is not None  # noqa: S101 -- one of both
        return False, self.what.make()


_Found = tuple["_Outcome | None", "tuple[bool, Any] | None"]
"""(recorded outcome to compare with what the function gives, outcome to give instead); neither: just call it."""

_PASS: _Found = (None, None)


class _Loaded:
    """What was loaded of a recording: by key, or None as long as nothing has come."""

    def __init__(self) -> None:
        self.outcomes: dict[str, _Outcome] | None = None
        self.asked = False

    def reset(self) -> None:
        """Ask again in a forked child, where the thread that would have answered does not exist."""
        self.asked = self.outcomes is not None


class _Replayer:
    """Gives the recorded outcomes of one function."""

    def __init__(self, subject: Subject, options: Mapping[str, Any], random: Callable[[], float]) -> None:
        self.subject, self.random = subject, random
        self.name: str = options["recording"]
        self.check: float = options["check"]
        self.strict = options["missing"] == "raise"
        self.keyed = Keyed(subject, options)
        ignore = tuple(tuple(path.split(".")) for path in options["may_differ"])
        self.tolerance = Tolerance(options["relative"], options["absolute"], ignore)
        self.loaded = kept(subject, "replay", options, _Loaded)
        self.replayed, self.missing, self.same, self.drift = decisions(
            subject, "replay", "replayed", "missing", "same", "drift"
        )
        self.early = Decision(subject, "replay", "passed", "not loaded yet")

    def begin(self) -> None:
        """Ask for the recording, once; it comes on another thread."""
        if self.loaded.asked:
            return
        self.loaded.asked = True
        self._note("loading")
        archive, guard = self.subject.archive, self.subject.guard
        assert archive is not None  # noqa: S101 -- see refuse
        archive.load(
            self.name, self.subject.name, MOST, lambda found: guard.run("replay.load", self._take, None, found)
        )

    def _take(self, found: Sequence[Recorded]) -> None:
        outcomes: dict[str, _Outcome] = {}
        size, bad = 0, ""
        for recorded in found:
            size += len(recorded.value)
            if size > MOST_BYTES:
                bad = f"more than {MOST_BYTES >> 20} MiB are left out"
                break
            try:
                outcome = _Outcome(recorded, self.subject.allowed)
            except Invalid:
                bad = "some cannot be read"
                continue
            if outcome.error is not None and outcome.error.problem:
                bad = outcome.error.problem
                continue
            outcomes[recorded.key] = outcome
        self.loaded.outcomes = outcomes
        self._note(f"{len(outcomes)} outcomes of {self.name} are replayed" + (f"; {bad}" if bad else ""))

    def _note(self, text: str) -> None:
        self.subject.note(self.subject.hijack, "replay", text[:500])

    def find(self, values: tuple[Any, ...]) -> _Found:
        """Return what is to become of a call."""
        outcomes = self.loaded.outcomes
        if outcomes is None:
            self.begin()  # a forked child asks for itself
            self.early()
            return _PASS
        try:
            outcome = outcomes.get(self.keyed.digest(values))
        except Unkeyable as why:
            self.bypass(why.reason)
            return _PASS
        if outcome is None:
            self.missing()
            if not self.strict:
                return _PASS
            return None, (True, LookupError(f"{self.subject.name} has no outcome of this call in {self.name}"))
        if self.check and self.random() < self.check:
            return outcome, None
        made = outcome.make()
        self.replayed()
        return None, made

    def bypass(self, reason: str) -> None:
        """Count a call that could not be replayed, or not be compared."""
        Decision(self.subject, "replay", "bypassed", reason)()

    def compare(self, outcome: _Outcome, result: Any, error: Exception | None) -> None:
        """Take what the function gives now."""
        before, now = outcome.recorded.error, kind_name(type(error)) if error is not None else ""
        found: Difference | None = None
        if before or now:
            found = None if before == now else Difference("exception", before or "none", now or "none")
        else:
            try:
                found = difference(outcome.value, scrubbed(result), self.tolerance)
            except (Incomparable, Unencodable) as why:
                self.bypass(why.reason)
                return
        if found is None:
            self.same()
            return
        self.drift()
        text = f"{found.path}: {found.old} became {found.new}"
        attributes: dict[str, Any] = {
            "mystic.recording": self.name,
            "mystic.hijack": self.subject.hijack,
            "mystic.key": outcome.recorded.key,
            "mystic.call": outcome.recorded.call,
        }
        self.subject.events.put(EVENT, text, **attributes)
        self._note(f"{len(self.loaded.outcomes or ())} outcomes of {self.name} are replayed; drift, e.g. {text}")
