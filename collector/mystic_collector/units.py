"""Figures as people read them."""

from __future__ import annotations


def duration(value: float) -> str:
    """Return seconds as people read them: ``1.24 ms``, ``2 min 5 s``, ``3 h 20 min``."""
    for size, unit, part, smaller in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (100, "min", 1, "s")):
        if value >= size:
            whole = 60 if unit == "min" else size
            left = value % whole // part
            return f"{value // whole:.0f} {unit} {left:.0f} {smaller}" if left else f"{value // whole:.0f} {unit}"
    for unit, least in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= least:
            return f"{value / least:.3g} {unit}"
    return f"{value * 1e9:.0f} ns" if value else "0"
