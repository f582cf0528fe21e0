"""``mystic status``: processes, slowest functions, hijacks, drops, overhead."""

from __future__ import annotations

import argparse
import time
from typing import Any

from mystic_agent.cli.command import Command

from mystic_collector.commands.connection import Connection, add_address
from mystic_collector.commands.ending import columns, duration, ending, plain, show, whole
from mystic_collector.commands.stale import listing

_MOST_COSTLY = 5
_MOST_TOLD = 20
_MOST_DECISIONS = 4
_WORTH_A_WORD = 0.001
"""Share of a core below which what a function costs is not worth a line."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--service", default="", help="only this service")
    parser.add_argument("--top", default="15", help="how many functions (default: 15)")
    parser.add_argument("--sort", default="avg_time", help="avg_time (default), total_time, call_count, exceptions, …")
    add_address(parser)


@ending
def run(args: argparse.Namespace) -> int:
    """Ask and show."""
    top = whole(args.top, "--top", 10_000)
    with Connection(args) as collector:
        status = collector.get("/api/status")
        metrics = collector.get("/api/metrics", service=args.service, limit=top, sort=args.sort)
        hijacks = collector.get("/api/hijacks")
        stale = collector.get("/api/hijacks/stale")
        costly = collector.get("/api/analysis/overhead", service=args.service, limit=_MOST_COSTLY)
    if args.service:
        status["processes"] = [one for one in status["processes"] if one["service"] == args.service]
    parts = [
        _off(hijacks["off"]),
        _processes(status),
        _functions(metrics, hijacks["hijacks"]),
        _hijacks(hijacks["hijacks"]),
        listing(stale["stale"]),
        _costly(costly["functions"]),
        _health(status, collector.address),
    ]
    text = "\n\n".join(filter(None, parts))
    found = {"status": status, "metrics": metrics, "hijacks": hijacks, "stale": stale["stale"], "overhead": costly}
    show(args, found, text)
    return 0


def _off(off: dict[str, Any]) -> str:
    """Return who switched off what, in front of everything else: nothing below can be understood without it."""
    lines = []
    for service, told in off.items():
        what, how = ("everything", "mystic on") if service == "*" else (service, f"mystic on --service {service}")
        why = f": {told['reason']}" if told.get("reason") else ""
        lines.append(plain(f"OFF: {what}, by {told.get('actor') or 'somebody'}{why}; end it with '{how}'"))
    return "\n".join(lines)


def _processes(status: dict[str, Any]) -> str:
    fleet = status.get("fleet")
    rows = [
        [
            one["service"],
            str(one["pid"]),
            one["stage"],
            str(sum(one["functions"].get(state, 0) for state in ("attached", "counting"))),
            f"{one['overhead']:.2%}" if one["overhead"] is not None else "-",
            "connected" if one["connected"] else f"silent for {max(0.0, time.time() - one['last_seen']):.0f} s",
            *([one.get("collector", "-")] if fleet else []),
        ]
        for one in status["processes"]
    ]
    if not rows:
        return "no processes report; start one with 'mystic run -- …'"
    head = ["SERVICE", "PID", "STAGE", "FUNCTIONS", "OVERHEAD", "LINK", *(["COLLECTOR"] if fleet else [])]
    table = columns([head, *rows], right=(1, 3, 4))
    if not (fleet and fleet["trouble"]):
        return table
    return table + "\n" + plain(f"the fleet's server {fleet['server']} does not answer: {fleet['trouble']}")


def _functions(metrics: dict[str, Any], hijacks: list[dict[str, Any]]) -> str:
    now = {name for one in hijacks for specs in one["stages"].values() for spec in specs for name in spec}
    rows = [
        [
            one["name"],
            str(one["call_count"]),
            str(one["exceptions"]),
            duration(one["avg_time"]),
            duration(one["p95"]),
            duration(one["max_time"]),
            duration(one["total_time"]),
            _decisions(one["decisions"], now),
        ]
        for one in metrics["functions"]
        if one["call_count"]
    ]
    if not rows:
        return "no function was called yet; calls are told within two seconds"
    head = ["FUNCTION", "CALLS", "ERRORS", "AVG", "P95", "MAX", "TOTAL", "DECISIONS"]
    more = metrics["summary"]["called_functions"] - len(rows)
    table = columns([head, *rows], right=(1, 2, 3, 4, 5, 6))
    return f"{table}\n… and {more} more; use --top" if more > 0 else table


def _decisions(decisions: list[dict[str, Any]], now: set[str]) -> str:
    """Return the most frequent decisions of strategies that are in force ``now``, then of earlier ones."""
    found = sorted(decisions, key=lambda one: one["strategy"] not in now)
    told = ", ".join(f"{one['strategy']} {one['decision']} {one['count']}" for one in found[:_MOST_DECISIONS])
    return f"{told}, …" if len(found) > _MOST_DECISIONS else told


def _hijacks(hijacks: list[dict[str, Any]]) -> str:
    if not hijacks:
        return "no hijacks"
    rows = [
        [
            one["id"],
            one["target"],
            " ".join(f"{stage}:{'+'.join(n for s in listed for n in s)}" for stage, listed in one["stages"].items()),
            one["owner"] or "-",
            _ends(one["expires_at"]),
            one["progress"]["summary"],
        ]
        for one in hijacks
    ]
    table = columns([["HIJACK", "TARGET", "STRATEGIES", "OWNER", "ENDS", "STATE"], *rows], names=1)
    return "\n".join([table, *_told(hijacks)])


def _told(hijacks: list[dict[str, Any]]) -> list[str]:
    """Return what processes say of their hijacks: what failed, and how far others have come."""
    lines = []
    for one in hijacks:
        found = one["progress"]
        lines += [(one["id"], told, f"{told['state']}: {told['reason']}") for told in found["failures"]]
        lines += [(one["id"], told, told["note"]) for told in found["notes"]]
    shown = [plain(f"{identity} in pid {told['pid']}, {told['function']}: {text}") for identity, told, text in lines]
    return [*shown[:_MOST_TOLD], *([f"… and {len(shown) - _MOST_TOLD} more"] if len(shown) > _MOST_TOLD else [])]


def _ends(moment: float | None) -> str:
    return "-" if moment is None else f"in {max(0.0, moment - time.time()) / 3600:.1f} h"


def _costly(functions: list[dict[str, Any]]) -> str:
    """Name the functions that cost something worth a word to observe and change."""
    named = [
        f"{one['function']} {one['share_of_core']:.2%}" for one in functions if one["share_of_core"] >= _WORTH_A_WORD
    ]
    return f"most of the overhead of the last minute, in shares of a core: {', '.join(named)}" if named else ""


def _health(status: dict[str, Any], address: str) -> str:
    dropped = ", ".join(f"{value:.0f} {kind or 'items'}" for kind, value in status["dropped"].items() if value)
    ingest, share = status["ingest"], status["overhead"]["mean_share_of_core"]
    lost = f"; refused {ingest['refused']}, lost {ingest['lost']}" if ingest["refused"] or ingest["lost"] else ""
    cost = f"{share:.2%} of a core per process" if share is not None else "not reported yet"
    return f"overhead {cost}; dropped {dropped or 'nothing'}{lost}; collector {status['version']} at {address}"


command = Command(
    name="status",
    help="show processes, slowest functions, hijacks, drops and overhead",
    example="mystic status --top 5 --sort total_time",
    configure=configure,
    run=run,
)
