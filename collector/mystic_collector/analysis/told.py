"""Events of analyzing agents → what they tell. What cannot be read is left out: any sender can post events."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from mystic_agent.contract import analysis
from mystic_agent.contract.errors import Invalid

from mystic_collector.analysis.cacheability import Touch
from mystic_collector.analysis.workload import Stretch

MOST_REASONS = 50
LONGEST_TEXT = 300


def stretch(process: str, attributes: str, body: str) -> Stretch | None:
    """Return the stretch that an event of ``process`` tells, or None when it is not one of ours.

    Args:
        process: the instance that sent it.
        attributes: JSON object.
        body: packed accesses.
    """
    try:
        return _stretch(process, json.loads(attributes), body)
    except (Invalid, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _stretch(process: str, given: dict[str, Any], body: str) -> Stretch:
    begin, end, base = (_moment(given[name]) for name in (analysis.BEGIN, analysis.END, analysis.BASE))
    threshold = int(given[analysis.THRESHOLD], 16)
    kinds = json.loads(given[analysis.KINDS])
    if not 0 < threshold <= analysis.WHOLE or end < begin:
        raise ValueError(threshold)
    return Stretch(
        process=process,
        session=str(given[analysis.SESSION])[:LONGEST_TEXT],
        sequence=_whole(given[analysis.SEQUENCE]),
        threshold=threshold,
        begin=begin,
        end=end,
        calls=_whole(given[analysis.CALLS]),
        seconds=_whole(given[analysis.TOTAL]) / 1e9,
        unkeyable=_counted(kinds["unkeyable"]),
        results=_counted(kinds["results"]),
        identity=str(given.get(analysis.IDENTITY, ""))[:LONGEST_TEXT],
        own=_names(kinds.get("self")),
        accesses=[one._replace(start=base + one.start) for one in analysis.unpack(body)],
    )


def touches(body: str) -> list[Touch]:
    """Return what an event says that a function's code reaches."""
    try:
        rows = json.loads(body)
    except (ValueError, RecursionError):
        return []
    return [one for row in rows if (one := _touch(row)) is not None] if isinstance(rows, list) else []


def _touch(row: object) -> Touch | None:
    if not isinstance(row, list) or len(row) != 3 or row[0] not in analysis.REACH or not isinstance(row[2], list):
        return None
    return Touch(row[0], str(row[1])[:LONGEST_TEXT], tuple(str(name)[:LONGEST_TEXT] for name in row[2][:20]))


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
        return value
    raise ValueError(value)


def _moment(value: object) -> float:
    return _whole(value) / 1e9


def _names(value: object) -> tuple[str, ...] | None:
    return tuple(str(name)[:LONGEST_TEXT] for name in value[:MOST_REASONS]) if isinstance(value, list) else None


def _counted(value: object) -> dict[str, int]:
    rows: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, dict) else ()
    return {str(reason)[:LONGEST_TEXT]: _whole(count) for reason, count in list(rows)[:MOST_REASONS]}
