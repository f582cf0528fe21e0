"""``mystic inspect``: one function in detail."""

from __future__ import annotations

import argparse
import json
from typing import Any

from mystic_agent.cli.command import Command

from mystic_collector.commands.connection import Connection
from mystic_collector.commands.ending import Failed, duration, ending, plain, show
from mystic_collector.commands.named import naming


@ending
def run(args: argparse.Namespace) -> int:
    """Show signature, docstring, source, parameters, dependencies and figures."""
    with Connection(args) as collector:
        found = collector.post("/api/functions/inspect", {"function": args.function})
        try:
            found["metrics"] = collector.get(f"/api/metrics/{found['function']}")
        except Failed:
            found["metrics"] = None  # not called yet
    show(args, found, _text(found))
    return 0


def _text(found: dict[str, Any]) -> str:
    lines = [found["function"], f"  {found['kind']} in {found['file']}:{found['line']}", f"  {found['signature']}"]
    if found["docstring"]:
        lines += ["", *(f"  {line}" for line in found["docstring"].splitlines())]
    figures = found["metrics"]
    if figures:
        avg, p95 = duration(figures["avg_time"]), duration(figures["p95"])
        lines += ["", f"  {figures['call_count']} calls, {figures['exceptions']} errors, {avg} on average, p95 {p95}"]
        lines += [f"  {one['summary']} of {one['service']}" for one in figures["processes_now"]]
        lines += [f"  {_decision(one)}" for one in figures["decisions"]]
    for kind, names in found["dependencies"].items():
        if names:
            lines.append(f"  {kind}: {', '.join(names)}")
    lines += ["  parameters: " + json.dumps(found["parameters"]), "", *found["source"].splitlines()]
    return "\n".join(plain(line) for line in lines)


def _decision(one: dict[str, Any]) -> str:
    why = f": {one['reason']}" if one.get("reason") else ""
    return f"{one['strategy']} {one['decision']} {one['count']}{why}"


command = Command(
    name="inspect",
    help="show one function: signature, source, parameters, dependencies, figures",
    example="mystic inspect app.ocr:process",
    configure=naming("function", "module:qualname, a dotted path or a bare name"),
    run=run,
)
