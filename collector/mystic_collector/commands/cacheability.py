"""``mystic cacheability``: which functions are worth a cache, and what it would do."""

from __future__ import annotations

import argparse
from typing import Any

from mystic_agent.cli.command import Command

from mystic_collector.analysis.cacheability import span
from mystic_collector.commands.connection import Connection, add_address
from mystic_collector.commands.ending import columns, duration, ending, plain, show

_BYTES = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "function", nargs="?", default="", help="module:qualname, a dotted path or a bare name (default: all analyzed)"
    )
    parser.add_argument(
        "--ttl", action="append", default=[], help="also predict for this ttl, e.g. 5m; may be repeated"
    )
    parser.add_argument("--scope", choices=("process", "shared"), help="a cache in each process, or one for all")
    parser.add_argument("--service", help="only this service")
    parser.add_argument("--top", type=int, default=20, help="how many functions (default: 20)")
    add_address(parser)


@ending
def run(args: argparse.Namespace) -> int:
    """Ask and show."""
    with Connection(args) as collector:
        if args.function:
            path = f"/api/analysis/cacheability/{args.function}"
            found = collector.get(path, ttl=args.ttl or None, scope=args.scope, service=args.service)
            show(args, found, "\n\n".join(_one(one) for one in found["services"]))
        else:
            found = collector.get("/api/analysis/cacheability", service=args.service, limit=args.top)
            show(args, found, _list(found["functions"]))
    return 0


def _list(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "no function was analyzed yet; agents do so by themselves where calls take time"
    table = [["FUNCTION", "CACHE", "TTL", "HITS", "SAVES", "MEMORY", "WHY"]]
    table += [
        [
            one["function"],
            one["verdict"],
            span(one["ttl"]) if one["ttl"] else "-",
            f"{one['hit_rate']:.0%}" if one["ttl"] else "-",
            f"{span(one['seconds_saved_per_hour'])}/h" if one["ttl"] else "-",
            size(one["bytes"]) if one["ttl"] else "-",
            one["reasons"][0],
        ]
        for one in rows
    ]
    return columns(table, right=(3, 4, 5))


def _one(one: dict[str, Any]) -> str:
    lines = [f"{one['function']} of {one['service']}: {one['verdict']}"]
    lines += [f"  {reason}" for reason in one["reasons"]]
    lines += [f"  note: {note}" for note in one["notes"]]
    if not one["calls"]:
        return "\n".join(plain(line) for line in lines)
    share, seen = one["sampled_share_of_keys"], f"{one['calls']} calls in {span(one['observed'])}"
    lines.append(
        f"  seen: {seen}, {one['processes']} processes, {share:.1%} of the keys; {duration(one['mean_time'])} each"
    )
    table = [["TTL", "HITS", "±", "WHEN WARM", "SAVES", "ENTRIES", "MEMORY", "OUT OF DATE"]]
    table += [
        [
            span(row["ttl"]) + ("" if row["observed_long_enough"] else " *"),
            f"{row['hit_rate']:.1%}",
            f"{row['margin']:.1%}",
            "-" if row["hit_rate_when_warm"] is None else f"{row['hit_rate_when_warm']:.1%}",
            f"{span(max(row['seconds_saved_per_hour'], 0.0))}/h",
            str(row["entries"]),
            size(row["bytes"]),
            f"{row['stale_hits']} of {row['compared_hits']}",
        ]
        for row in one["predictions"]
    ]
    lines += [f"  {line}" for line in columns(table, right=(1, 2, 3, 4, 5, 6, 7)).split("\n")]
    if not all(row["observed_long_enough"] for row in one["predictions"]):
        lines.append("  * longer than the function was observed: at least so many")
    return "\n".join(plain(line) for line in lines)


def size(number: float) -> str:
    """Return bytes as people read them: ``1.5 MiB``."""
    for unit, least in _BYTES:
        if number >= least:
            return f"{number / least:.3g} {unit}"
    return f"{number:.0f} B"


command = Command(
    name="cacheability",
    help="say which functions are worth a cache: predicted hits, time saved, memory, and why not",
    example="mystic cacheability app.prices:price --ttl 5m",
    configure=configure,
    run=run,
)
