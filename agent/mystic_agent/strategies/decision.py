"""What a strategy decided on a call: counted exactly, and on the call's span when it is sampled."""

from __future__ import annotations

from mystic_agent.contract import wire
from mystic_agent.guard import guard
from mystic_agent.strategies import Subject


class Decision:
    """One outcome of one strategy on one function; calling it counts it.

    Args:
        subject: the function.
        strategy: e.g. ``circuit_breaker``.
        outcome: e.g. ``open``.
        reason: further detail; of few distinct values.
    """

    __slots__ = ("_cell", "_h", "_label", "_tracer")

    def __init__(self, subject: Subject, strategy: str, outcome: str, reason: str = "") -> None:
        self._h = subject.meter.h
        self._cell = subject.meter.cell(strategy, outcome, reason)
        self._tracer = subject.tracer
        self._label = f"{strategy}:{outcome}"

    def __call__(self) -> None:
        """Count it; no call stands between reading and writing the cell, so that no other thread comes between."""
        self._h[self._cell] += 1
        if self._tracer.pulse.live:
            guard.run("decision", self._annotate, None)

    def _annotate(self) -> None:
        if self._tracer.sampling:
            self._tracer.annotate(wire.DECISION, self._label)
