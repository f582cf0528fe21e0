"""One measured figure, and the target it is held against."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Target:
    """What a figure should reach.

    Attributes:
        limit: in the unit of the value that is judged.
        unit: shown behind the limit, e.g. ``× closure`` or ``MB``.
        at_least: the value must not be below the limit; otherwise it must not be above.
    """

    limit: float
    unit: str
    at_least: bool = False

    def met(self, value: float) -> bool:
        """True when ``value`` reaches the target."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {number(self.limit)} {self.unit}"


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        section: what is measured, e.g. ``sync call``.
        variant: on whom, e.g. ``closure wrapper``.
        value: the median, in ``unit``.
        compared: what the target is about when that is not the value itself, in the target's unit.
        note: a few words that belong to the figure.
    """

    section: str
    variant: str
    value: float
    unit: str
    target: Target | None = None
    compared: float | None = None
    compared_unit: str = ""
    note: str = ""

    @property
    def verdict(self) -> str:
        """``met``, ``short``, or empty without a target."""
        if self.target is None:
            return ""
        return "met" if self.target.met(self.value if self.compared is None else self.compared) else "short"

    def to_json(self) -> dict[str, Any]:
        """Return the figure with its verdict, without empty fields."""
        held = asdict(self) | {"verdict": self.verdict}
        return {key: value for key, value in held.items() if value not in (None, "")}


def short(figures: Iterable[Figure]) -> list[Figure]:
    """Return the figures that miss their target."""
    return [figure for figure in figures if figure.verdict == "short"]


def number(value: float) -> str:
    """Return ``value`` with about three figures, as people read it."""
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"
