"""``mystic servers``: managed MCP servers, started, looked at, spoken to and stopped."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from mystic_agent.cli.command import Command

from mystic_collector.commands.connection import Connection, add_address
from mystic_collector.commands.ending import Failed, columns, ending, plain, show
from mystic_collector.commands.servers_arguments import configure, spec_of
from mystic_collector.units import duration

_POLL = 2
_QUIET = 2.0
"""Seconds until progress is told."""

_CALL_PATIENCE = 180.0


def _path(name: str, rest: str = "") -> str:
    return f"/api/mcp/servers/{name}{rest}"


def _start(args: argparse.Namespace, collector: Connection) -> int:
    started = collector.post("/api/mcp/servers", spec_of(args))
    return _settle(args, collector, started)


def _restart(args: argparse.Namespace, collector: Connection) -> int:
    return _settle(args, collector, collector.post(_path(args.name, "/restart"), {}))


def _settle(args: argparse.Namespace, collector: Connection, found: dict[str, Any]) -> int:
    """Wait until a server runs, and tell how far it is to somebody who watches."""
    begun, told = time.monotonic(), ""
    while found["state"] == "starting" and not args.no_wait:
        if sys.stderr.isatty() and time.monotonic() - begun > _QUIET and found["detail"] != told:
            told = found["detail"]
            print(f"\r\x1b[K{plain(told)}", end="", file=sys.stderr, flush=True)
        found = collector.get(_path(found["name"]), wait=_POLL)
    if told:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    if found["state"] == "failed":
        raise Failed(plain(f"the server {found['name']!r} did not start: {found['detail']}"), plain(found["remedy"]))
    show(args, found, _line(found, collector.address))
    return 0


def _line(found: dict[str, Any], address: str) -> str:
    where = f" at {address}{found['path']}" if found["state"] == "running" else ""
    detail = f": {found['detail']}" if found["detail"] else ""
    return plain(f"{found['name']} is {found['state']}{where}{detail}")


def _stop(args: argparse.Namespace, collector: Connection) -> int:
    show(args, collector.delete(_path(args.name)), f"{args.name} is stopped")
    return 0


def _list(args: argparse.Namespace, collector: Connection) -> int:
    found = collector.get("/api/mcp/servers")
    rows = [["SERVER", "STATE", "TYPE", "RUNS", "TRANSPORT", "UPTIME", "SESSIONS", "CALLS", "AVG", "IN", "DETAIL"]]
    for one in found["servers"]:
        spec, figures = one["spec"], one["figures"]
        kind = [spec["server_type"], spec["package"] or spec["image"], spec["transport"]]
        times = [duration(found) if found is not None else "" for found in (one["uptime"], figures["average"])]
        counts = [str(figures["sessions"]), str(figures["calls"])]
        rows.append([one["name"], one["state"], *kind, times[0], *counts, times[1], one["mode"], one["detail"]])
    show(
        args,
        found,
        columns(rows) if len(rows) > 1 else "no servers; 'mystic servers templates' lists what can be started",
    )
    return 0


def _status(args: argparse.Namespace, collector: Connection) -> int:
    found = collector.get(_path(args.name))
    spec = found["spec"]
    told = [
        ("state", f"{found['state']}{': ' if found['detail'] else ''}{found['detail']}"),
        ("remedy", found["remedy"]),
        ("address", f"{collector.address}{found['path']}"),
        ("runs", f"{spec['server_type']} {spec['package'] or spec['image']}".strip()),
        ("arguments", " ".join([*spec["command"], *spec["args"]])),
        ("variables", ", ".join([*spec["env"], *(one["env"] for one in spec["secrets"])])),
        ("transport", f"{spec['transport']}{' on port ' + str(spec['port']) if spec['port'] else ''}"),
        ("uptime", duration(found["uptime"]) if found["uptime"] is not None else ""),
        ("restarts", str(found["restarts"] or "")),
        ("in", f"{found['mode']} {found['identity']}".strip()),
        ("limits", f"{spec['limits']['cpu']}m of a core, {spec['limits']['memory'] // 2**20} MiB"),
    ]
    show(args, found, columns([[label, text] for label, text in told if text]))
    return 0


def _logs(args: argparse.Namespace, collector: Connection) -> int:
    if not args.follow:
        found = collector.get(_path(args.name, "/logs"), tail=args.tail)
        show(args, found, "\n".join(_logged(one) for one in found["logs"]))
        return 0
    try:
        for kind, data in collector.events(_path(args.name, "/logs/stream"), tail=args.tail):
            if kind == "error":
                raise Failed(plain(data["message"]), plain(data["remedy"]))
            if kind == "log":
                print(json.dumps(data) if args.format == "json" else _logged(data), flush=True)
    except KeyboardInterrupt:
        pass  # how a follower is ended
    return 0


def _logged(line: dict[str, Any]) -> str:
    moment = time.strftime("%H:%M:%S", time.localtime(line["time"]))
    return f"{moment}  {plain(line['text'])}"


def _call(args: argparse.Namespace, collector: Connection) -> int:
    if not args.tool:
        found = collector.get(_path(args.name, "/tools"))
        rows = [[one["name"], (one.get("description") or "").strip().partition("\n")[0]] for one in found["tools"]]
        show(args, found, columns([["TOOL", "DESCRIPTION"], *rows]))
        return 0
    result = collector.post(_path(args.name, "/execute"), {"tool": args.tool, "arguments": args.arguments})
    texts = [one["text"] if one["type"] == "text" else f"({one['type']})" for one in result["content"]]
    show(args, result, "\n".join(plain(line) for text in texts for line in text.splitlines()))
    return 1 if result.get("isError") else 0


def _templates(args: argparse.Namespace, collector: Connection) -> int:
    found = collector.get("/api/mcp/registry", q=args.words and " ".join(args.words))
    rows = [[one["name"], one["description"]] for one in found["templates"]]
    show(args, found, columns([["TEMPLATE", "DESCRIPTION"], *rows]) if rows else "no template fits")
    return 0


_ACTIONS = {
    "start": _start,
    "stop": _stop,
    "restart": _restart,
    "list": _list,
    "status": _status,
    "logs": _logs,
    "call": _call,
    "templates": _templates,
}


@ending
def run(args: argparse.Namespace) -> int:
    """Do what is asked."""
    with Connection(args, _CALL_PATIENCE) as collector:
        return _ACTIONS[args.action](args, collector)


command = Command(
    name="servers",
    help="start, stop, watch and call managed MCP servers",
    example="mystic servers start time --type uv --package mcp-server-time",
    configure=lambda parser: configure(parser, add_address),
    run=run,
)
