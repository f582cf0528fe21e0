"""``mystic impact``: what hijacks have changed, measured before and after."""

from __future__ import annotations

import argparse
from typing import Any

from mystic_agent.cli.command import Command

from mystic_collector.commands.connection import Connection, add_address
from mystic_collector.commands.ending import Failed, columns, duration, ending, plain, show

_HEAD = ["FUNCTION", "", "CALLS", "ERRORS", "HITS", "AVG", "P50", "P95", "P99"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("hijack", nargs="?", default="", help="a hijack's id, or a function (default: all hijacks)")
    parser.add_argument("--service", default="", help="only this service")
    add_address(parser)


@ending
def run(args: argparse.Namespace) -> int:
    """Ask and show."""
    with Connection(args) as collector:
        found = collector.get("/api/analysis/impact", service=args.service, limit=1000)["impacts"]
    wanted = args.hijack
    if wanted:
        found = [one for one in found if wanted == one["id"] or _means(wanted, one)]
        if not found:
            raise Failed(f"no hijack is or was {wanted!r}", "'mystic impact' lists those there were", 2)
    text = "\n\n".join(_told(one) for one in found) or "no hijacks, and none released"
    show(args, {"impacts": found, "count": len(found)}, text)
    return 0


def _means(wanted: str, one: dict[str, Any]) -> bool:
    names = {one["target"], *(row["function"] for version in one["versions"] for row in version["functions"])}
    return any(wanted == name or name.endswith((f":{wanted}", f".{wanted}")) for name in names)


def _told(one: dict[str, Any]) -> str:
    state = "released" if one["released_at"] else "in force"
    lines = [plain(f"{one['id']} on {one['target']}, {state}" + (f": {one['reason']}" if one["reason"] else ""))]
    for version in one["versions"]:
        rows = version["functions"]
        lines.append(f"{' + '.join(version['strategies']) or 'nothing'}, version {version['version']}")
        if not rows:
            lines.append("  no process has had it in force")
            continue
        table = [_HEAD]
        for row in rows:
            table += [_row(row["function"], "before", row["before"]), _row("", "after", row["after"])]
        lines += ["  " + line for line in columns(table, right=(2, 3, 4, 5, 6, 7, 8)).split("\n")]
        lines += [f"  {plain(line)}" for row in rows for line in _verdict(row, len(rows) > 1)]
        if len(rows) > 1:
            lines.append(f"  {_sum(version['sum'])}")
    if one["lost"]:
        lines.append(f"  {one['lost']} parts are left out: more changes came than were kept")
    return "\n".join(lines)


def _row(name: str, side: str, figures: dict[str, Any]) -> list[str]:
    times = ["-" if figures[key] is None else duration(figures[key]) for key in ("avg_time", "p50", "p95", "p99")]
    hits = "-" if figures["hit_rate"] is None else f"{figures['hits']} ({figures['hit_rate']:.0%})"
    return [name, side, str(figures["call_count"]), str(figures["exceptions"]), hits, *times]


def _verdict(row: dict[str, Any], named: bool) -> list[str]:
    change, prefix = row["change"], f"{row['function']}: " if named else ""
    time, errors = change["time"], change["errors"]
    if time["verdict"] in ("faster", "slower"):
        low, high = sorted((abs(time["low"]), abs(time["high"])))
        said = f"{time['verdict']} by {duration(low)} to {duration(high)} a call ({_percent(time['relative'])})"
        if time["verdict"] == "faster":
            said += f"; {duration(change['saved_time'])} saved so far"
    elif time["verdict"] == "same":
        said = f"as fast as before, within {duration(max(abs(time['low']), abs(time['high'])))} a call"
    else:
        said = f"no verdict on time: {time['why']}"
    lines = [prefix + said]
    if errors["verdict"] in ("fewer", "more"):
        lines.append(f"{prefix}{errors['verdict']} errors: {errors['difference']:+.1%} of calls")
    elif errors["verdict"] == "unclear" and (row["before"]["exceptions"] or row["after"]["exceptions"]):
        lines.append(f"{prefix}no verdict on errors: {errors['why']}")
    if row["beside"]:
        lines.append(f"{prefix}part of it may come from {', '.join(row['beside'])}, in force at the same time")
    return lines


def _percent(relative: float | None) -> str:
    return "-" if relative is None else f"{relative:+.0%}"


def _sum(total: dict[str, Any]) -> str:
    calls = f"together: {total['before']['call_count']} calls before, {total['after']['call_count']} after"
    if total["saved_time"] is None:
        return f"{calls}; too few to tell what was saved"
    word = "saved" if total["saved_time"] >= 0 else "lost"
    return f"{calls}; {duration(abs(total['saved_time']))} {word} over {total['told']} functions with enough calls"


command = Command(
    name="impact",
    help="what hijacks have changed: latency, errors and hits before and after",
    example="mystic impact app.ocr:process",
    configure=configure,
    run=run,
)
