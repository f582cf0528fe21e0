"""Fields of a request that asks for a page of records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mystic_agent.contract.duration import seconds
from mystic_agent.contract.errors import Invalid

from mystic_collector.store.log_records import Cursor

MOST = 1_000


def text(body: Mapping[str, Any], name: str, most: int = 1_000) -> str:
    """Return a text field, empty when absent.

    Raises:
        Invalid: when it is no text or too long.
    """
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > most:
        raise Invalid(name, value, f"give text of at most {most} characters, or leave it out")
    return value.strip()


def whole(body: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    """Return a field that is a whole number.

    Raises:
        Invalid: when it is not a number from ``low`` to ``high``.
    """
    value = body.get(name)
    if value is None:
        return default
    if type(value) is int and low <= value <= high:
        return value
    raise Invalid(name, value, f"give a whole number from {low} to {high}")


def since(body: Mapping[str, Any], now: float) -> int:
    """Return the field ``since``, how long before ``now``, as Unix nanoseconds; 0 when absent.

    Raises:
        Invalid: when it is no duration.
    """
    value = body.get("since")
    return 0 if value is None else max(0, round((now - seconds(value, "since")) * 1e9))


def cursor(body: Mapping[str, Any]) -> Cursor | None:
    """Return the field ``cursor``, the ``next`` of an earlier page, or None when absent.

    Raises:
        Invalid: when it was not given by us.
    """
    value = body.get("cursor")
    if value is None:
        return None
    time, _, number = value.partition(".") if isinstance(value, str) else ("", "", "")
    if all(part.isascii() and part.isdigit() and len(part) < 20 for part in (time, number)):
        found = Cursor(int(time), int(number))
        if max(found) < 2**63:
            return found
    raise Invalid("cursor", value, "give what an earlier page called next, unchanged")


def written(cursor: Cursor | None) -> str | None:
    """Return a cursor as it is sent."""
    return f"{cursor.time_ns}.{cursor.id}" if cursor else None
