"""How far a new implementation has come: beside the old one, for some callers, for all; or back. Pure, but for a clock.

One rule in every stage (see ``evidence``): four runs of observations, each against what is allowed. One of them that
speaks against the new implementation takes it back; a stage that has lasted ``window``, has seen ``minimum`` calls of
the new implementation, and has four reassuring runs is followed by the next. A stage begins with nothing observed.

- *differs*: results of the same call, of both. Allowed is the share given.
- *fails*: of the calls that failed in only one of both, those of the new one. Allowed is the share of calls it had: one
  half where both are called. It must also fail in more calls than ``errors`` allows, as a share of all.
- *slower*: a call of the new one that took ``slower`` times as long as one of the old, and ``least`` longer. Allowed is
  every second, which is what two equal ones come to at most.

- *late*: a call of the new one that took longer than ``within``, where that is given. Allowed is the share ``late``.

In the last stage nothing is left to compare with; there, failures count against the share that the old one had, and
``within`` is what slowness shows by.
"""

from __future__ import annotations

import _thread
from collections.abc import Callable
from time import monotonic_ns

from mystic_agent.contract.named import NamedTuple
from mystic_agent.strategies.evidence import LIMIT, Evidence

SHADOW, CANARY, FULL, BACK = "shadow", "canary", "full", "rolled_back"
_NEXT = {SHADOW: CANARY, CANARY: FULL}
_PRIOR = 10  # calls that the share asked for counts as, before callers have shown what share they make


class Rules(NamedTuple):
    """What is asked of the new implementation; as the options of the strategy, with times in nanoseconds."""

    share: float
    differs: float
    errors: float
    slower: float
    least: int
    minimum: int
    window: int
    promote: str
    rollback: bool
    within: int = 0
    late: float = 0.05


class Ran(NamedTuple):
    """One call of one implementation: nanoseconds, and whether it raised."""

    elapsed: int
    failed: bool


class Turn(NamedTuple):
    """A stage has ended; with ``after`` as ``before``, one is worse than allowed and nothing may be done about it."""

    before: str
    after: str
    reason: str


class Tally:
    """Calls of one implementation in one stage."""

    __slots__ = ("calls", "failed")

    def __init__(self) -> None:
        self.calls = self.failed = 0

    def add(self, failed: bool) -> None:
        """Take one call."""
        self.calls += 1
        self.failed += failed

    @property
    def share(self) -> float:
        """Share of calls that failed; 0 without a call."""
        return self.failed / self.calls if self.calls else 0.0


class Trial:
    """One new implementation in one process. Thread-safe.

    Args:
        rules: what is asked of it.
        begin: the first stage.
        clock: nanoseconds, monotonic.

    Attributes:
        stage: SHADOW, CANARY, FULL or BACK.
        why: the reason of the last turn.
    """

    def __init__(self, rules: Rules, begin: str = SHADOW, clock: Callable[[], int] = monotonic_ns) -> None:
        self.rules = rules
        self.why = ""
        self._clock = clock
        self._lock = _thread.RLock()
        self._before = 1.0  # share of the old one's calls that failed, once it is known
        self._enter(begin)

    def _enter(self, stage: str) -> None:
        self.stage = stage
        self._since = self._clock()
        self._old, self._new = Tally(), Tally()
        self._differs, self._fails, self._slower, self._late = Evidence(), Evidence(), Evidence(), Evidence()
        self._allowed = min(1.0, self._before + self.rules.errors)  # to fail in, in the last stage
        self._last_old: int | None = None
        self._warned = False

    def reset(self) -> None:
        """Begin the stage anew, as a forked child does."""
        self._lock = _thread.RLock()
        self._enter(self.stage)

    def both(self, stage: str, same: bool, old: Ran, new: Ran) -> Turn | None:
        """Take one call that both have answered, in ``stage``; ``same`` says whether they answered alike."""
        with self._lock:
            if stage != self.stage or stage == BACK:
                return None  # it began in a stage that is over
            if old.failed == new.failed:
                self._differs.see(not same, self.rules.differs)
            if stage == SHADOW:
                self._old.add(old.failed)
                self._new.add(new.failed)
                if old.failed != new.failed:
                    self._fails.see(new.failed, 0.5)
                self._time(old, new)
                if self.rules.within:
                    self._limit(new)
            return self._turn()

    def one(self, stage: str, is_new: bool, ran: Ran) -> Turn | None:
        """Take one call that only one of them has answered, in ``stage``."""
        elapsed, failed = ran
        with self._lock:
            if stage != self.stage or stage == BACK:
                return None
            if stage == FULL:
                self._fails.see(failed, self._allowed)
            elif failed and stage == CANARY:
                old, new = self._old.calls, self._new.calls
                self._fails.see(is_new, (new + _PRIOR * self.rules.share) / (old + new + _PRIOR))
            tally = self._new if is_new else self._old
            tally.calls += 1
            tally.failed += failed
            if not is_new:
                self._last_old = None if failed else elapsed
            elif self._last_old is not None:  # each call of the old one is compared with once
                self._time(Ran(self._last_old, False), ran)
                self._last_old = None
            if is_new and self.rules.within:
                self._limit(ran)
            return self._turn()

    def slower(self, old: Ran, new: Ran) -> bool:
        """True when the new one took too much longer."""
        return new.elapsed > self.rules.slower * old.elapsed and new.elapsed - old.elapsed > self.rules.least

    def _time(self, old: Ran, new: Ran) -> None:
        if not old.failed and not new.failed:
            self._slower.see(self.slower(old, new), 0.5)

    def _limit(self, new: Ran) -> None:
        if not new.failed:
            self._late.see(new.elapsed > self.rules.within, self.rules.late)

    def _turn(self) -> Turn | None:
        alarmed = self._differs.balance >= LIMIT or self._fails.balance >= LIMIT
        alarmed = alarmed or self._slower.balance >= LIMIT or self._late.balance >= LIMIT
        if alarmed and (worse := self._worse()):
            if self.rules.rollback:
                return self._to(BACK, worse)
            if not self._warned:
                self._warned, self.why = True, worse
                return Turn(self.stage, self.stage, worse)
        elif self.stage != FULL and self._ripe():
            after = _NEXT[self.stage]
            if self._old.calls:  # Laplace's rule: what has never failed may still fail
                self._before = (self._old.failed + 1) / (self._old.calls + 2)
            return self._to(after, f"as good as the old one: {self._figures()}")
        return None

    def _to(self, after: str, reason: str) -> Turn:
        before = self.stage
        self._enter(after)
        self.why = reason
        return Turn(before, after, reason)

    def _worse(self) -> str:
        """Return in what it is worse than allowed, or an empty text."""
        old, new, rules = self._old, self._new, self.rules
        if self._differs.against:
            return f"{self._differs.bad} of {self._differs.seen} results differ"
        base = self._before if self.stage == FULL else old.share
        if self._fails.against and new.share - base > rules.errors:
            return f"it fails in {new.failed} of {new.calls} calls, the old one in {base:.1%}"
        if self._slower.against:
            took = f"{self._slower.bad} of {self._slower.seen} calls took more than {rules.slower:g} times as long"
            return f"{took} as the old one, and {rules.least / 1e6:g} ms longer"
        if self._late.against:
            return f"{self._late.bad} of {self._late.seen} calls took longer than {rules.within / 1e6:g} ms"
        return ""

    def _ripe(self) -> bool:
        """True when it may go on."""
        rules = self.rules
        if self.stage not in _NEXT or rules.promote not in ("canary", "full"):
            return False
        if self.stage == CANARY and rules.promote != "full":
            return False
        if self._new.calls < rules.minimum or self._clock() - self._since < rules.window:
            return False
        return all(run.reassuring for run in (self._differs, self._fails, self._slower, self._late))

    def _figures(self) -> str:
        late = f", {self._late.bad} of {self._late.seen} late" if self.rules.within else ""
        return (
            f"{self._new.calls} calls, {self._new.failed} failed; {self._differs.bad} of {self._differs.seen} compared "
            f"differ, {self._slower.bad} of {self._slower.seen} slower{late}"
        )

    def told(self) -> str:
        """Return where it stands, for people."""
        with self._lock:
            names = {SHADOW: "beside the old one", CANARY: f"canary, {self.rules.share:.0%} of calls", FULL: "full"}
            if self.stage == BACK:
                return f"rolled back: {self.why}"
            return f"{names[self.stage]}; {self._figures()}" + (f"; {self.why}" if self.why else "")
