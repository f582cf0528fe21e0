"""Analyzes, without being asked, the functions where a cache could matter: a few at a time, each in its turn."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from mystic_agent.attached import OBSERVE, Attached
from mystic_agent.attachments import Attachments
from mystic_agent.contract.analysis import REACH_EVENT, REFUSING
from mystic_agent.guard import guard
from mystic_agent.observe.events import DEBUG, Events

if TYPE_CHECKING:
    from mystic_agent.strategies.sampler import Sampler

SEATS = 3
"""Functions that are analyzed at the same time."""

SHARE_OF_BUDGET = 0.5
SHARE_WITHOUT_BUDGET = 0.015

LEAST_MEAN_NS = 50_000
"""A function whose calls are shorter gains too little from a cache to be looked at unasked."""

LEAST_CALLS = 10
CALL_NS = 4_000
"""What looking at a call takes, about: a function that is called too often for its share is not begun."""

TURN_SECONDS = 120.0
"""After which a function makes room when another one waits."""

MOST_SESSIONS = 10_000
MOST_BEGUN = 20
"""Functions whose code is looked at in one go."""

REST_SECONDS = 900.0
"""For which a function is left alone after looking at its calls took too long."""


class Rota:
    """Whose turn it is.

    Args:
        attachments: what is in force.
        budget: share of one core that observing may cost; half of it is for this. 0: no limit was set.
        automatic: False to tell only of what hijacks ask for.
        clock: seconds, monotonic.

    Attributes:
        share: share of one core that looking at calls cost over the last interval.
    """

    def __init__(
        self,
        attachments: Attachments,
        budget: float,
        automatic: bool = True,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.share = 0.0
        self._attachments = attachments
        self._seat_share = (budget * SHARE_OF_BUDGET if budget else SHARE_WITHOUT_BUDGET) / SEATS
        self._automatic = automatic
        self._clock = clock
        self._last = clock()
        self._turns = {  # name → since when; a forked child goes on with those of its parent
            one.name: self._last for one in list(attachments.by_name.values()) if one.analysis is not None
        }
        self._rounds: dict[str, int] = {}
        self._resting: dict[str, float] = {}  # name → until when
        self._seen: dict[str, tuple[int, int]] = {}  # name → its calls, and the ns that they took
        self._told: set[str] = set()  # sessions whose function's reach was told

    def tick(self) -> None:
        """Tell what was seen since the last time, end turns that are over, and begin others."""
        now = self._clock()
        elapsed, self._last = max(now - self._last, 1e-3), now
        spent = 0
        for attached in list(self._attachments.by_name.values()):
            if attached.keep:
                spent += sum(self._tell(attached, one) for one in _samplers(attached))
        self.share = spent / 1e9 / elapsed
        if self._automatic:
            self._rotate(now, elapsed)

    def _tell(self, attached: Attached, sampler: Sampler) -> int:
        """Tell what one sampler has seen; return the ns that it took."""
        if sampler.session not in self._told:
            if len(self._told) > MOST_SESSIONS:
                self._told.clear()
            self._told.add(sampler.session)
            if attached.name not in self._turns:
                self._reach(attached)
        sampler.ship(Events(attached.name, self._attachments.events))
        return sampler.spent_ns

    def _reach(self, attached: Attached) -> bool:
        """Tell what a function's code reaches; return True when that speaks against a turn.

        A call that is analyzed takes one frame more of the recursion limit, which nobody has asked for.
        """
        import json  # on the agent's thread; while the agent is put together the application's own may be watched

        from mystic_agent.cache.reach import reach
        from mystic_agent.strategies.named import holder_of

        scope = self._attachments.scope
        mine = {one.module for one in list(self._attachments.by_name.values())}
        found = guard.run(
            "reach",
            reach,
            [],
            attached.swaps[0].original,
            holder_of(attached.module, attached.qualname),
            lambda name: name in mine or scope.owns(name),
        )
        events = Events(attached.name, self._attachments.events)
        events.put(REACH_EVENT, json.dumps([[one.category, one.name, one.path] for one in found]), severity=DEBUG)
        return any(one.category in REFUSING or one.category == "recursion" for one in found)

    def _rotate(self, now: float, elapsed: float) -> None:
        waiting = self._waiting(now, elapsed)
        for name, since in list(self._turns.items()):
            attached = self._attachments.by_name.get(name)
            if attached is None or not self._fits(attached):
                self._end(name)
            elif any(one.rests or one.hopeless for one in _samplers(attached)):
                self._resting[name] = now + REST_SECONDS
                self._end(name)
            elif waiting and now - since >= TURN_SECONDS:
                self._end(name)
        for attached in waiting[:MOST_BEGUN]:
            if len(self._turns) >= SEATS:
                break
            self._begin(attached, now)

    def _begin(self, attached: Attached, now: float) -> None:
        """Give a function its turn, unless its code alone tells that it must not be cached."""
        self._rounds[attached.name] = self._rounds.get(attached.name, 0) + 1
        if self._reach(attached):
            self._resting[attached.name] = now + REST_SECONDS
            return
        self._turns[attached.name] = now
        self._attachments.analyze(attached.name, self._seat_share)

    def _end(self, name: str) -> None:
        del self._turns[name]
        self._attachments.analyze(name, None)

    def _waiting(self, now: float, elapsed: float) -> list[Attached]:
        """Return the functions that may have the next turns: those that took most time, seldom analyzed ones first."""
        found = []
        for attached in list(self._attachments.by_name.values()):
            meter, name = attached.meter, attached.name
            total = meter.total_ns
            before, total_before = self._seen.get(name, (0, 0))
            if total == total_before or total < LEAST_CALLS * LEAST_MEAN_NS:
                continue  # nothing has called it since, or too little did
            calls = meter.calls
            self._seen[name] = calls, total
            if name in self._turns or calls < LEAST_CALLS or not self._fits(attached):
                continue
            if total < calls * LEAST_MEAN_NS or self._resting.get(name, 0.0) > now:
                continue
            if (calls - before) / elapsed * CALL_NS / 1e9 <= self._seat_share:
                found.append((total / (1 + self._rounds.get(name, 0)) ** 2, attached))
        return [attached for _, attached in sorted(found, key=lambda one: -one[0])]

    def _fits(self, attached: Attached) -> bool:
        return (
            attached.state == "attached"
            and attached.level == OBSERVE
            and attached.kind in ("function", "coroutine")
            and bool(attached.swaps)
            and not attached.nested
            and not (attached.plan is not None and attached.plan.strategies)
        )


def _samplers(attached: Attached) -> list[Sampler]:
    return [one for key, one in list(attached.keep.items()) if key[0] == "analyze"]
