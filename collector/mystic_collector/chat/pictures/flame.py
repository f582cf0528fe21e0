"""A flame graph: where the time of sampled calls goes, callers above what they call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zlib import crc32

from mystic_collector.chat.pictures.canvas import INK, Canvas, fitted, wide
from mystic_collector.chat.pictures.charts import MARGIN
from mystic_collector.units import duration

_ROW = 24
_DEEPEST = 14
_NARROWEST = 1.5
_COLOURS = ("#f6c35c", "#f2a65a", "#ee8959", "#f3b6a0", "#e8cf7a", "#f0d9a8", "#e9a178", "#f7b538")
"""Warm, light enough for dark text; a module keeps its colour."""


def flame(sheet: Canvas, top: float, root: Mapping[str, Any]) -> float:
    """Draw a tree of ``{name, total, count, children}``; ``total`` in seconds. Return where it ended."""
    room = sheet.width - 2 * MARGIN
    children = root["children"]
    whole = sum(one["total"] for one in children) or 1e-9
    x: float = MARGIN
    deepest = 0
    for one in children:
        width = room * one["total"] / whole
        deepest = max(deepest, _draw(sheet, one, x, top, width, whole, 0))
        x += width
    return top + _ROW * (deepest + 1) + 16


def _draw(sheet: Canvas, node: Mapping[str, Any], x: float, top: float, width: float, whole: float, depth: int) -> int:
    """Draw one function and below it what it calls; return the depth that was reached."""
    y = top + _ROW * depth
    name = str(node["name"])
    colour = _COLOURS[crc32(name.rpartition(".")[0].encode()) % len(_COLOURS)]
    sheet.box(x + 0.5, y, x + width - 0.5, y + _ROW - 1.5, colour, 2)
    share = f"{duration(node['total'])} · {node['total'] / whole:.0%}"
    if width > wide(name, 11.5) + wide(share, 10.5) + 26:
        sheet.text(x + width - 8, y + _ROW / 2 - 1, share, 10.5, INK, "rm")
    if width > 30:
        sheet.text(x + 7, y + _ROW / 2 - 1, fitted(name, width - 14, 11.5), 11.5, INK, "lm")
    reached = depth
    if depth + 1 < _DEEPEST:
        inside = sum(one["total"] for one in node["children"])
        scale = width / max(inside, node["total"], 1e-12)  # what ran at the same time is longer than its caller
        for one in node["children"]:
            if one["total"] * scale >= _NARROWEST:
                reached = max(reached, _draw(sheet, one, x, top, one["total"] * scale, whole, depth + 1))
                x += one["total"] * scale
    return reached
