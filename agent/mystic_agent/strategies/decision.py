"""What a strategy decided on a call: counted exactly, and on the call's span when it is sampled."""

from __future__ import annotations

from collections.abc import Iterator

from mystic_agent.contract import wire
from mystic_agent.observe.span import CURRENT, METER, Rare, place_now, rare
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
        self._label = f"{strategy}:{outcome} ({reason})" if reason else f"{strategy}:{outcome}"

    def __call__(self) -> None:
        """Count it; no call stands between reading and writing the cell, so that no other thread comes between."""
        self._h[self._cell] += 1
        if self._tracer.pulse.live:
            self._guard.run("decision", self._annotate, None)

    def annotate(self, key: str, value: str | int | float | bool) -> None:
        """Give the call's span, if it is sampled, a further attribute, already redacted and bounded."""
        extra = self._own()
        if extra is not None:
            extra.attributes = (*extra.attributes, (key, value))

    def _own(self) -> Rare | None:
        """Return what is rare of the call's own span; spans of generators are never current."""
        place = place_now.get()
        span = place[CURRENT] if place is not None and self._tracer.sampling else None
        return rare(span) if span is not None and span[METER] is self._meter else None

    def _annotate(self) -> None:
        """Add it to what was decided before on the same call."""
        extra = self._own()
        if extra is None:
            return
        before = dict(extra.attributes).get(wire.DECISION)
        label = self._label if before is None else f"{before}, {self._label}"
        if len(label) <= LONGEST:
            others = (pair for pair in extra.attributes if pair[0] != wire.DECISION)
            extra.attributes = (*others, (wire.DECISION, label))


def decisions(subject: Subject, strategy: str, *outcomes: str) -> Iterator[Decision]:
    """Return one Decision for each of the outcomes, in their order."""
    return (Decision(subject, strategy, outcome) for outcome in outcomes)
