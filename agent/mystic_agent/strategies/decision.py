"""What a strategy decided on a call: counted exactly, and on the call's span when it is sampled."""

from __future__ import annotations

from collections.abc import Iterator

from mystic_agent.contract import wire
from mystic_agent.observe.span import CURRENT, METER, place_now, rare
from mystic_agent.strategies import Subject

LONGEST = 500


class Decision:
    """One outcome of one strategy on one function; calling it counts it.

    Args:
        subject: the function.
        strategy: e.g. ``circuit_breaker``.
        outcome: e.g. ``open``.
        reason: further detail; of few distinct values.
    """

    __slots__ = ("_cell", "_guard", "_h", "_label", "_meter", "_tracer")

    def __init__(self, subject: Subject, strategy: str, outcome: str, reason: str = "") -> None:
        self._meter, self._tracer = subject.meter, subject.tracer
        self._guard = subject.guard
        self._h = subject.meter.h
        self._cell = subject.meter.cell(strategy, outcome, reason)
        self._label = f"{strategy}:{outcome}"

    def __call__(self) -> None:
        """Count it; no call stands between reading and writing the cell, so that no other thread comes between."""
        self._h[self._cell] += 1
        if self._tracer.pulse.live:
            self._guard.run("decision", self._annotate, None)

    def _annotate(self) -> None:
        """Add it to what was decided before on the same call; spans of generators are never current."""
        place = place_now.get()
        span = place[CURRENT] if place is not None and self._tracer.sampling else None
        if span is None or span[METER] is not self._meter:
            return
        extra = rare(span)
        before = dict(extra.attributes).get(wire.DECISION)
        label = self._label if before is None else f"{before}, {self._label}"
        if len(label) <= LONGEST:
            others = (pair for pair in extra.attributes if pair[0] != wire.DECISION)
            extra.attributes = (*others, (wire.DECISION, label))


def decisions(subject: Subject, strategy: str, *outcomes: str) -> Iterator[Decision]:
    """Return one Decision for each of the outcomes, in their order."""
    return (Decision(subject, strategy, outcome) for outcome in outcomes)
