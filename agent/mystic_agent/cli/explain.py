"""``mystic explain module:qualname``: is the agent attached to a function, process by process, and if not, why."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import urlencode

from mystic_agent.cli import collector
from mystic_agent.cli.command import Command
from mystic_agent.cli.failure import Failure
from mystic_agent.cli.locate import Place, locate
from mystic_agent.cli.output import show
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.target import Target, parse_target
from mystic_agent.settings import Settings, load

_ATTACHED = ("attached", "counting")


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("function", help="module:qualname, without globs")


def _run(args: argparse.Namespace) -> int:
    target = parse_target(args.function, "function")
    if not target.exact:
        raise Invalid(
            "function", args.function, "name one function; 'mystic discover' lists those that match a pattern"
        )
    settings = load()
    place = locate(target, settings)
    processes, note = _ask(settings, target)
    answer = {
        "function": str(target),
        "attached": bool(processes) and all(one.get("state") in _ATTACHED for one in processes),
        "processes": processes,
        "collector": note,
        "source": {"file": place.file, "line": place.line, "kind": place.kind, "reasons": list(place.reasons)},
    }
    show(answer, "\n".join(_lines(target, processes, note, place)), args.format)
    return 0 if answer["attached"] else 1


def _ask(settings: Settings, target: Target) -> tuple[list[dict[str, Any]], str]:
    """Return what each process reported about ``target``, and why nothing is known when that is so."""
    try:
        reply = collector.get(settings, f"/api/functions?{urlencode({'q': str(target), 'limit': 1000})}")
    except Failure as failure:
        return [], str(failure)
    listed = reply.get("functions", []) if isinstance(reply, dict) else []
    processes: list[dict[str, Any]] = []
    for entry in listed:
        if isinstance(entry, dict) and entry.get("function") == str(target):
            each = entry.get("processes") or entry.get("instances")
            processes += [one for one in each if isinstance(one, dict)] if isinstance(each, list) else [entry]
    return processes, "" if processes else "no process has reported this function"


def _lines(target: Target, processes: list[dict[str, Any]], note: str, place: Place) -> list[str]:
    lines = [str(target)]
    if place.line:
        lines.append(f"  defined in {place.file}:{place.line} ({place.kind.replace('_', ' ')})")
    for one in processes:
        who = one.get("instance") or one.get("service") or "process"
        pid = f" (pid {one['pid']})" if one.get("pid") else ""
        reason = f": {one['reason']}" if one.get("reason") else ""
        lines.append(f"  {who}{pid}: {one.get('state', 'unknown')}{reason}")
        lines += [f"    not reached: {reference}" for reference in one.get("references") or ()]
    if note:
        lines.append(f"  {note}")
    lines += [f"  {reason}" for reason in place.reasons]
    if not processes and not place.reasons:
        lines.append("  nothing in its source keeps the agent from it: it is attached once a process loads the module")
    return lines


command = Command(
    "explain",
    "tell whether a function is attached, and why not",
    "mystic explain app.ocr:OCRService.process",
    _configure,
    _run,
)
