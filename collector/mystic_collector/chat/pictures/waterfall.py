"""A waterfall: one trace, each call where and for as long as it ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mystic_collector.chat.pictures.canvas import BLUE, INK, MUTED, RED, SKY, Canvas, fitted, steps, wide
from mystic_collector.chat.pictures.charts import MARGIN
from mystic_collector.units import duration

MOST_ROWS = 45
_ROW = 22
_NAMES = 320
WIDTH = 1000


def waterfall(trace: Mapping[str, Any]) -> bytes:
    """Return a picture of a trace as ``GET /api/traces/{id}`` answers it; of many calls the longest are shown."""
    spans = ordered(trace["spans"])
    kept = {id(one) for _, one in sorted(spans, key=lambda pair: -pair[1]["duration"])[:MOST_ROWS]}
    rows = [(depth, one) for depth, one in spans if id(one) in kept]
    top = 92
    sheet = Canvas(WIDTH, top + _ROW * len(rows) + 46)
    sheet.text(MARGIN, 22, fitted(trace["name"], 640, 20), 20, bold=True)
    left_out = f", the longest {len(rows)} shown" if len(rows) < len(spans) else ""
    facts = (
        f"{duration(trace['duration'])} · {len(spans)} calls{left_out} · {trace['errors']} errors · {trace['service']}"
    )
    sheet.text(MARGIN, 50, facts, 12.5, MUTED)
    first = min(one["start_ns"] for _, one in spans)
    left, right = MARGIN + _NAMES + 12, WIDTH - MARGIN - 70
    ticks = steps(max(trace["duration"] * 1e9, 1.0), 5)
    scale = (right - left) / ticks[-1]
    bottom = top + _ROW * len(rows)
    for tick in ticks:
        x = left + tick * scale
        sheet.line([(x, top - 4), (x, bottom)])
        sheet.text(x, bottom + 8, duration(tick * 1e-9), 10.5, MUTED, "ma")
    for index, (depth, one) in enumerate(rows):
        _row(sheet, top + _ROW * index, depth, one, left + (one["start_ns"] - first) * scale, scale)
    return sheet.png()


def _row(sheet: Canvas, y: float, depth: int, one: Mapping[str, Any], x: float, scale: float) -> None:
    middle, indent = y + _ROW / 2, min(depth, 10) * 11
    failed = one["status"] == "error"
    name = fitted(one["name"], _NAMES - indent, 12)
    sheet.text(MARGIN + indent, middle, name, 12, RED if failed else INK, "lm")
    end = x + one["duration"] * 1e9 * scale
    sheet.box(x, y + 4, max(end, x + 1.5), y + _ROW - 4, RED if failed else (BLUE if depth % 2 == 0 else SKY), 2)
    text = duration(one["duration"]) + (" failed" if failed else "")
    if end + 6 + wide(text, 11) > WIDTH - 8:
        sheet.text(end - 6, middle, text, 11, "#ffffff" if failed or depth % 2 == 0 else INK, "rm")
    else:
        sheet.text(max(end, x + 1.5) + 6, middle, text, 11, RED if failed else MUTED, "lm")


def ordered(spans: Sequence[Mapping[str, Any]]) -> list[tuple[int, Mapping[str, Any]]]:
    """Return (depth, span) with each span after its caller and before the caller's next one, by start."""
    known = {one["span_id"] for one in spans}
    children: dict[Any, list[Mapping[str, Any]]] = {}
    for one in sorted(spans, key=lambda span: span["start_ns"]):
        parent = one["parent_id"] if one["parent_id"] in known else None
        children.setdefault(parent, []).append(one)
    found: list[tuple[int, Mapping[str, Any]]] = []
    waiting = [(0, one) for one in reversed(children.get(None, []))]
    while waiting:
        depth, one = waiting.pop()
        found.append((depth, one))
        waiting += [(depth + 1, child) for child in reversed(children.pop(one["span_id"], []))]
    return found
