"""Durations as people write them: ``250ms``, ``30s``, ``30m``, ``24h``, ``7d`` or a number of seconds."""

from __future__ import annotations

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.pattern import pattern

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_TEXT = pattern(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
LONGEST_SECONDS = 3650 * 86400.0


def seconds(value: object, field: str) -> float:
    """Return ``value`` in seconds.

    Raises:
        Invalid: when it is not a positive duration of at most ten years.
    """
    remedy = "give a positive duration such as '250ms', '30s', '30m', '24h' or '7d'"
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise Invalid(field, value, remedy)
    if isinstance(value, str):
        match = _TEXT.fullmatch(value.strip())
        if match is None:
            raise Invalid(field, value, remedy)
        amount = float(match[1]) * _UNITS[match[2] or "s"]
    else:
        amount = float(value)
    if not 0 < amount <= LONGEST_SECONDS:
        raise Invalid(field, value, remedy)
    return amount
