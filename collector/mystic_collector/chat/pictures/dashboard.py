"""Dashboards: of everything, and of one function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mystic_collector.chat.pictures.canvas import MUTED, Canvas, counted, fitted
from mystic_collector.chat.pictures.charts import MARGIN, bars, heading, histogram, tiles, timeline
from mystic_collector.chat.pictures.flame import flame
from mystic_collector.units import duration

WIDTH = 1000
MOST_BARS = 10
_TALLEST = 2_000


def overview(title: str, metrics: Mapping[str, Any], calls: Mapping[str, Any], now: float) -> bytes:
    """Return a picture of many functions.

    Args:
        title: whose.
        metrics: the answer of ``GET /api/metrics``, sorted as it is to be shown.
        calls: the answer of ``GET /api/analysis/flame``.
        now: Unix seconds.
    """
    sheet, top = _begun(title, now)
    summary = metrics["summary"]
    facts = [
        ("functions called", f"{summary['called_functions']:,} of {summary['total_functions']:,}"),
        ("calls", counted(summary["total_calls"])),
        ("errors", counted(summary["total_exceptions"])),
        ("time in all", duration(summary["total_time"])),
    ]
    top = tiles(sheet, top, facts)
    rows = [one for one in metrics["functions"] if one["call_count"]][:MOST_BARS]
    if rows:
        top = heading(sheet, top, "Slowest functions", "bar: average time; mark: p95; red: some calls failed")
        top = bars(sheet, top, rows)
    return _ended(sheet, _calls(sheet, top, calls))


def of_function(metrics: Mapping[str, Any], calls: Mapping[str, Any], now: float) -> bytes:
    """Return a picture of one function, from ``GET /api/metrics/{function}`` and ``GET /api/analysis/flame``."""
    sheet, top = _begun(metrics["name"], now)
    facts = [
        ("calls", counted(metrics["call_count"])),
        ("errors", counted(metrics["exceptions"])),
        ("average", duration(metrics["avg_time"])),
        ("p95", duration(metrics["p95"])),
        ("longest", duration(metrics["max_time"])),
    ]
    top = tiles(sheet, top, facts)
    if metrics["histogram"]:
        top = heading(sheet, top, "How long calls take", "timed calls; each bar reaches twice as far as the one before")
        marks = {name: metrics[name] for name in ("p50", "p95", "p99")}
        top = histogram(sheet, top + 18, metrics["histogram"], marks)
    past: Sequence[Mapping[str, Any]] = metrics["history"]
    if past:
        top = heading(sheet, top, "Recently", f"calls per {past[-1]['seconds']} s, and their average time (right)")
        top = timeline(sheet, top, past[-300:])
    return _ended(sheet, _calls(sheet, top, calls))


def _begun(title: str, now: float) -> tuple[Canvas, float]:
    sheet = Canvas(WIDTH, _TALLEST)
    sheet.text(MARGIN, 22, fitted(title, WIDTH - 2 * MARGIN - 200, 20), 20, bold=True)
    when = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M UTC")
    sheet.text(WIDTH - MARGIN, 28, when, 12, MUTED, "ra")
    return sheet, 62


def _calls(sheet: Canvas, top: float, calls: Mapping[str, Any]) -> float:
    if not calls["children"]:
        return top
    note = f"mean of {calls['traces']} sampled traces; what is called stands below its caller"
    return flame(sheet, heading(sheet, top, "Where the time goes", note), calls)


def _ended(sheet: Canvas, top: float) -> bytes:
    return sheet.cut(top + 8).png()
