"""Figures as people read them."""

from __future__ import annotations


def duration(value: float) -> str:
    """Return seconds as people read them: ``1.24 ms``."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e9:.0f} ns" if value else "0"
