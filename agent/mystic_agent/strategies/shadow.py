"""shadow: a new implementation runs beside the old one, then for some callers, then for all; or is taken back.

See docs/shadow.md, and ``trial`` for what decides. Beside the old one, callers get what the old one gives; the new one
is called afterwards with copies of the same arguments, off the caller's path: on a thread of its own, or in a task of
the same event loop. How much may be under way is bounded; what does not fit is counted as dropped. Each process comes
to its own conclusion.
"""

from __future__ import annotations

import random as chance
from collections.abc import Callable, Mapping
from contextvars import Context, copy_context
from time import monotonic_ns, perf_counter_ns
from typing import Any

from mystic_agent.guard import FAULTS
from mystic_agent.redact import clean, cut
from mystic_agent.strategies import Stage, Subject, alternative, sticky
from mystic_agent.strategies.alternative import Alternative, Crossing, inside
from mystic_agent.strategies.background import Background, background
from mystic_agent.strategies.beside import Beside, Old, copied
from mystic_agent.strategies.compare import Difference, Incomparable, Tolerance, difference
from mystic_agent.strategies.decision import Decision, decisions
from mystic_agent.strategies.kept import kept
from mystic_agent.strategies.reading import Unreadable
from mystic_agent.strategies.sticky import Sticky
from mystic_agent.strategies.trial import BACK, CANARY, FULL, SHADOW, Ran, Rules, Trial, Turn

EVENT = "mystic.shadow"


def refuse(subject: Subject, options: Mapping[str, Any]) -> str:
    """What the other implementation must be, see ``alternative``; the key must begin with a parameter."""
    return (
        alternative.refuse(subject, "shadow", options["to"])
        or subject.unknown("shadow.uncopied", options["uncopied"])
        or sticky.refuse(subject, "shadow", options)
    )


def make(
    subject: Subject,
    options: Mapping[str, Any],
    following: Stage,
    *,
    random: Callable[[], float] = chance.random,
    clock: Callable[[], int] = monotonic_ns,
    behind: Background = background,
) -> Stage:
    """Return a stage that tries the new implementation.

    Args:
        random: returns a share from 0 up to 1.
        clock: nanoseconds, monotonic.
        behind: where new functions run beside old ones.
    """
    return _stage(_Shadow(subject, options, random, clock, behind), following)


def _stage(one: _Shadow, following: Stage) -> Stage:
    """Return the stage that asks ``one`` where a call goes, and tells it what came of that."""
    subject = one.subject

    async def shadowed_async(*values: Any) -> Any:
        call = one.enter(values)
        if call is None:
            return await following(*values)
        function = call[1]
        crossing = Crossing(subject) if function is not None else None
        started = perf_counter_ns()
        try:
            result = await (following(*values) if function is None else function(*call[2], **call[3]))
        except FAULTS as error:
            one.leave(call, perf_counter_ns() - started, None, error)
            raise
        finally:
            if crossing is not None:
                crossing.end()
        one.leave(call, perf_counter_ns() - started, result, None)
        return result

    def shadowed(*values: Any) -> Any:
        call = one.enter(values)
        if call is None:
            return following(*values)
        function = call[1]
        crossing = Crossing(subject) if function is not None else None
        started = perf_counter_ns()
        try:
            result = following(*values) if function is None else function(*call[2], **call[3])
        except FAULTS as error:
            one.leave(call, perf_counter_ns() - started, None, error)
            raise
        finally:
            if crossing is not None:
                crossing.end()
        one.leave(call, perf_counter_ns() - started, result, None)
        return result

    return shadowed_async if subject.kind == "coroutine" else shadowed


_Copied = tuple[tuple[Any, ...], Context]
"""Arguments for the new implementation, and what it runs in."""

_Call = tuple[str, Any, tuple[Any, ...], Mapping[str, Any], _Copied | None]
"""One call that says something about the new implementation: the stage of the trial when it began; the new one, when
the caller gets what that gives, with how it is called; and what it is called with beside the old one."""


class _Shadow:
    """The trial of one new implementation, and what is counted and told of it."""

    def __init__(
        self,
        subject: Subject,
        options: Mapping[str, Any],
        random: Callable[[], float],
        clock: Callable[[], int],
        behind: Background,
    ) -> None:
        rules = Rules(
            share=options["share"],
            differs=options["differs"],
            errors=options["errors"],
            slower=options["slower"],
            least=round(options["least"] * 1e9),
            minimum=options["minimum"],
            window=round(options["window"] * 1e9),
            promote=options["promote"],
            rollback=options["rollback"],
            within=round(options["within"] * 1e9),
            late=options["late"],
        )
        self.state = kept(subject, "shadow", options, lambda: _State(Trial(rules, options["begin"], clock), behind))
        self.trial, self.subject = self.state.trial, subject
        self.sample: float = options["sample"]
        self.random = random
        self.to = Alternative(subject, options["to"])
        self.beside = Beside(subject, self.to, behind, self.state.tasks, self.judge, self.bypass)
        self.sticky = Sticky(subject, options) if options["key"] else None
        self.share: float = options["share"]
        self.uncopied = frozenset(subject.parameters.index(name) for name in options["uncopied"])
        ignore = tuple(tuple(path.split(".")) for path in options["ignore"])
        self.tolerance = Tolerance(options["relative"], options["absolute"], ignore)
        self.old, self.canary, self.full, self.back = decisions(subject, "shadow", "old", CANARY, FULL, BACK)
        self.came = {name: Decision(subject, "shadow", name) for name in ("same", "differs", "slower", "failed")}
        self.dropped = Decision(subject, "shadow", "dropped")
        self.inner = Decision(subject, "shadow", "passed", "called by the other implementation")
        self.tell()

    # -- before the call ----------------------------------------------------------------------------

    def enter(self, values: tuple[Any, ...]) -> _Call | None:
        """Return what is to become of a call; None for the old one, with nothing to be learnt, also when we fail."""
        try:
            return self._enter(values)
        except FAULTS as fault:
            self.subject.guard.note("shadow", fault)
            return None

    def _enter(self, values: tuple[Any, ...]) -> _Call | None:
        if inside(self.subject):
            self.inner()
            return None
        stage = self.trial.stage
        if stage == BACK:
            self.back()
            return None
        if stage == FULL or (stage == CANARY and self._chosen(values)):
            function = self.to.function()
            if function is None:
                Decision(self.subject, "shadow", "passed", self.to.problem)()
                return None
            args, kwargs = self.to.arrange(values)
            (self.full if stage == FULL else self.canary)()
            return stage, function, args, kwargs, None
        beside = self._beside(values) if self.sample > 0 else None
        self.old()
        return (stage, None, (), {}, beside) if stage == CANARY or beside is not None else None

    def _chosen(self, values: tuple[Any, ...]) -> bool:
        """True when the canary has this call."""
        if self.sticky is None:
            return self.random() < self.share
        try:
            return self.sticky.covers(values)
        except Unreadable as why:
            Decision(self.subject, "shadow", "bypassed", why.reason)()
            return False

    def _beside(self, values: tuple[Any, ...]) -> _Copied | None:
        """Return the arguments for the new one, copied before the old one may change them."""
        if self.random() >= self.sample:
            return None
        if self.beside.full:
            self.dropped()
            return None
        if self.to.function() is None:  # imported here if need be, in the application's thread
            self.bypass(self.to.problem)
            return None
        try:
            given = [None if i in self.uncopied else value for i, value in enumerate(values)]
            copies = copied(given, "arguments")
        except Incomparable as why:
            self.bypass(why.reason)
            return None
        return tuple(values[i] if i in self.uncopied else one for i, one in enumerate(copies)), copy_context()

    def bypass(self, reason: str) -> None:
        """Count a call that could not be made by both."""
        Decision(self.subject, "shadow", "bypassed", reason)()

    # -- after the call -----------------------------------------------------------------------------

    def leave(self, call: _Call, elapsed: int, result: Any, error: Exception | None) -> None:
        """Take the outcome that the caller gets."""
        try:
            self._leave(call, elapsed, result, error)
        except FAULTS as fault:  # not by the guard's run, which would be one call more
            self.subject.guard.note("shadow", fault)

    def _leave(self, call: _Call, elapsed: int, result: Any, error: Exception | None) -> None:
        stage, function, _, _, beside = call
        ran = Ran(elapsed, error is not None)
        if stage != SHADOW:
            self.turned(self.trial.one(stage, function is not None, ran))
        if beside is None:
            return
        try:
            [kept_result] = copied([result], "result")
        except Incomparable as why:
            self.bypass(why.reason)
            return
        kind = type(error) if error is not None else None
        if not self.beside.start(Old(stage, *beside, ran, kept_result, kind)):
            self.dropped()

    def judge(self, old: Old, new: Ran, result: Any, error: BaseException | None) -> None:
        """Compare what both gave."""
        found: Difference | None = None
        if old.ran.failed != new.failed or old.error is not (type(error) if error is not None else None):
            found = Difference("exception", _kind(old.error), _kind(type(error) if error is not None else None))
        elif not new.failed:
            try:
                found = difference(old.result, result, self.tolerance)
            except Incomparable as why:
                self.bypass(why.reason)
                return
        turn = self.trial.both(old.stage, found is None, old.ran, new)
        failed, slow = new.failed and not old.ran.failed, not new.failed and self.trial.slower(old.ran, new)
        outcome = "failed" if failed else "differs" if found else "slower" if slow else "same"
        self.came[outcome]()
        if found is not None:
            self.state.example = f"{found.path}: {found.old} became {found.new}"
        self.turned(turn)

    def turned(self, turn: Turn | None) -> None:
        """Tell of a stage that has ended, and now and then how far the one under way has come."""
        if turn is None:
            state = self.state
            state.seen += 1
            if state.seen < _TELL_EVERY or state.seen % _TELL_EVERY == 0:
                self.tell()
            return
        attributes: dict[str, Any] = {
            "mystic.shadow.before": turn.before,
            "mystic.shadow.after": turn.after,
            "mystic.shadow.to": self.to.name,
            "mystic.shadow.example": self.state.example,
            "mystic.hijack": self.subject.hijack,
        }
        self.subject.events.put(EVENT, cut(clean(turn.reason), 500), **attributes)
        self.tell()

    def tell(self) -> None:
        """Have it shown with the function where it stands."""
        self.subject.note(self.subject.hijack, "shadow", self.told)

    def told(self) -> str:
        """Return where it stands."""
        example = f"; e.g. {self.state.example}" if self.state.example else ""
        return cut(self.trial.told() + example, 1000)


_TELL_EVERY = 20


class _State:
    """What outlives a re-attach: the trial, the last difference, and what is under way.

    Attributes:
        example: the last difference, redacted.
        tasks: calls of new coroutine functions; event loops themselves hold tasks only weakly.
        seen: observations, about.
    """

    def __init__(self, trial: Trial, behind: Background) -> None:
        self.trial = trial
        self.example = ""
        self.tasks: set[Any] = set()
        self.seen = 0
        self._behind = behind

    def reset(self) -> None:
        """Begin the stage anew, as a forked child does."""
        self.trial.reset()
        self.tasks.clear()
        self._behind.reset()


def _kind(error: type[BaseException] | None) -> str:
    return f"{error.__module__}.{error.__qualname__}".removeprefix("builtins.") if error is not None else "none"
