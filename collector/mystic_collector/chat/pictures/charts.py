"""The parts of a dashboard: each draws itself between two heights and says where it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mystic_collector.chat.pictures.canvas import (
    BLUE,
    GREEN,
    GRID,
    INK,
    MUTED,
    ORANGE,
    PANEL,
    PAPER,
    RED,
    Canvas,
    counted,
    fitted,
    steps,
    wide,
)
from mystic_collector.units import duration

MARGIN = 28
_AXIS = 52
"""Room for the labels of an upright axis."""


def heading(sheet: Canvas, top: float, title: str, note: str = "") -> float:
    """Write the title of a part, and what it shows in which unit."""
    sheet.text(MARGIN, top, title, 15, bold=True)
    if note:
        sheet.text(MARGIN + wide(title, 15, True) + 10, top + 3, note, 11.5, MUTED)
    return top + 28


def tiles(sheet: Canvas, top: float, facts: Sequence[tuple[str, str]]) -> float:
    """Draw (name, value) side by side."""
    gap = 12
    width = (sheet.width - 2 * MARGIN - gap * (len(facts) - 1)) / len(facts)
    for index, (name, value) in enumerate(facts):
        x = MARGIN + index * (width + gap)
        sheet.box(x, top, x + width, top + 62, PANEL, 6)
        sheet.text(x + 14, top + 10, name, 11.5, MUTED)
        sheet.text(x + 14, top + 27, fitted(value, width - 28, 21), 21, bold=True)
    return top + 62 + 24


def bars(sheet: Canvas, top: float, rows: Sequence[Mapping[str, Any]]) -> float:
    """Draw functions with their average time as a bar, their p95 as a mark, and their calls."""
    names, numbers = 300, 130
    left, right = MARGIN + names + 12, sheet.width - MARGIN - numbers
    most = max(max(row["avg_time"], row["p95"]) for row in rows) or 1e-9
    marks = steps(most * 1e9)  # in ns, so that steps are round in every unit
    scale = (right - left) / marks[-1]
    bottom = top + 26 * len(rows)
    for mark in marks:
        x = left + mark * scale
        sheet.line([(x, top), (x, bottom)])
        sheet.text(x, bottom + 5, duration(mark * 1e-9), 10.5, MUTED, "ma")
    for index, row in enumerate(rows):
        y = top + 26 * index + 13
        sheet.text(MARGIN + names, y, fitted(row["name"], names, 12), 12, anchor="rm")
        sheet.box(left, y - 8, left + row["avg_time"] * 1e9 * scale, y + 8, BLUE, 2)
        x = left + row["p95"] * 1e9 * scale
        sheet.line([(x, y - 9), (x, y + 9)], ORANGE, 3)
        text = f"{duration(row['avg_time'])} · {counted(row['call_count'])} calls"
        sheet.text(right + 12, y, text, 11.5, RED if row["exceptions"] else INK, "lm")
    return bottom + 40


def histogram(sheet: Canvas, top: float, buckets: Sequence[Mapping[str, Any]], marks: Mapping[str, float]) -> float:
    """Draw how many calls lasted how long, each bar twice as long as the one before; with quantiles in seconds."""
    height, left, right = 190, MARGIN + _AXIS, sheet.width - MARGIN
    bottom = top + height
    ticks = steps(max(one["count"] for one in buckets))
    _grid(sheet, left, right, top, bottom, ticks)
    width = min((right - left) / len(buckets), 90)
    every = max(1, round(70 / width))
    for index, one in enumerate(buckets):
        x, high = left + index * width, height * one["count"] / ticks[-1]
        if one["count"]:
            sheet.box(x + 1, bottom - high, x + width - 1, bottom, BLUE, 1)
        if index % every == 0:
            sheet.text(x, bottom + 6, duration(one["above"]), 10.5, MUTED, "ma")
    if len(buckets) % every == 0:
        sheet.text(left + len(buckets) * width, bottom + 6, duration(buckets[-1]["up_to"]), 10.5, MUTED, "ra")
    _quantiles(sheet, left, top, bottom, width, buckets, marks)
    sheet.text(left - 8, top - 12, "calls", 10.5, MUTED, "rs")
    return bottom + 40


def _quantiles(
    sheet: Canvas,
    left: float,
    top: float,
    bottom: float,
    width: float,
    buckets: Sequence[Mapping[str, Any]],
    marks: Mapping[str, float],
) -> None:
    """Mark where shares of the calls lie, on the logarithmic axis; names that would meet are written lower."""
    from math import log2

    lowest = buckets[0]["above"]
    places = {
        name: left + min(max(log2(value / lowest), 0), len(buckets)) * width
        for name, value in marks.items()
        if value > 0
    }
    for x in places.values():
        sheet.dashes(x, top + 2, bottom, ORANGE)
    edge, row = -1e9, 0
    for name, x in sorted(places.items(), key=lambda pair: pair[1]):
        text = f"{name} {duration(marks[name])}"
        room = wide(text, 11, True) + 12
        begins = x if x + room < sheet.width - MARGIN else x - room
        row = row + 1 if begins < edge else 0
        edge = max(edge, begins + room + 2)
        y = top + 4 + 17 * row
        sheet.box(begins + 3, y - 1, begins + room - 3, y + 14, PAPER, 2)
        sheet.text(begins + 6, y, text, 11, INK, bold=True)


def timeline(sheet: Canvas, top: float, history: Sequence[Mapping[str, Any]]) -> float:
    """Draw calls per interval, cache hits and errors among them, and the average time as a line of its own scale."""
    height, left, right = 150, MARGIN + _AXIS, sheet.width - MARGIN - _AXIS
    bottom = top + height
    first, last = history[0]["at"], history[-1]["at"] + history[-1]["seconds"]
    ticks = steps(max(one["call_count"] for one in history))
    slowest = steps(max(one["avg_time"] for one in history) * 1e9)
    _grid(sheet, left, right, top, bottom, ticks)
    scale = (right - left) / (last - first)
    points = []
    for one in history:
        x0, x1 = left + (one["at"] - first) * scale, left + (one["at"] + one["seconds"] - first) * scale
        for count, colour in (
            (one["call_count"], BLUE),
            (one["cache_hits"] + one["exceptions"], GREEN),
            (one["exceptions"], RED),
        ):
            if count:
                sheet.box(x0, bottom - height * min(count, one["call_count"]) / ticks[-1], x1 - 0.5, bottom, colour)
        points.append(((x0 + x1) / 2, bottom - height * one["avg_time"] * 1e9 / slowest[-1]))
    if len(points) > 1:
        sheet.line(points, ORANGE, 2)
    for x, y in points if len(points) < 80 else ():
        sheet.dot(x, y, 2.5, ORANGE)
    for mark in slowest:
        sheet.text(right + 8, bottom - height * mark / slowest[-1], duration(mark * 1e-9), 10.5, ORANGE, "lm")
    _times(sheet, left, right, bottom, first, last)
    _legend(sheet, bottom + 26, (("calls", BLUE), ("cache hits", GREEN), ("errors", RED), ("average time", ORANGE)))
    return bottom + 60


def _grid(sheet: Canvas, left: float, right: float, top: float, bottom: float, ticks: Sequence[float]) -> None:
    for tick in ticks:
        y = bottom - (bottom - top) * tick / ticks[-1]
        sheet.line([(left, y), (right, y)], GRID)
        sheet.text(left - 8, y, counted(tick), 10.5, MUTED, "rm")


def _times(sheet: Canvas, left: float, right: float, bottom: float, first: float, last: float) -> None:
    form = "%H:%M:%S" if last - first < 600 else "%H:%M" if last - first < 86_400 else "%d %b %H:%M"
    for index in range(5):
        moment = datetime.fromtimestamp(first + (last - first) * index / 4, UTC)
        anchor = "la" if index == 0 else "ra" if index == 4 else "ma"
        text = moment.strftime(form) + (" UTC" if index == 4 else "")
        sheet.text(left + (right - left) * index / 4, bottom + 6, text, 10.5, MUTED, anchor)


def _legend(sheet: Canvas, top: float, entries: Sequence[tuple[str, str]]) -> None:
    x: float = MARGIN + _AXIS
    for name, colour in entries:
        sheet.box(x, top + 2, x + 11, top + 13, colour, 2)
        sheet.text(x + 17, top, name, 11, MUTED)
        x += 17 + wide(name, 11) + 20
