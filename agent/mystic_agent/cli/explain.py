"""``mystic explain module:qualname``: is the agent attached to a function, process by process, and if not, why."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import urlencode

from mystic_agent.cli import collector
from mystic_agent.cli.command import Command
from mystic_agent.cli.failure import Failure
from mystic_agent.cli.locate import Place, locate
from mystic_agent.cli.output import plain, show
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.target import Target, parse_target
from mystic_agent.settings import Settings, load

_ATTACHED = ("attached", "counting")
_NOT_LOADED = "pending"


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("function", help="module:qualname without globs, or a bare name that one function has")


def _run(args: argparse.Namespace) -> int:
    settings = load()
    target = parse_target(_meant(args.function, settings), "function")
    if not target.exact:
        raise Invalid(
            "function", args.function, "name one function; 'mystic discover' lists those that match a pattern"
        )
    place = locate(target, settings)
    services, note = _ask(settings, target)
    attached = bool(services) and all(_attached(one) for one in services)
    answer = {
        "function": str(target),
        "attached": attached,
        "services": services,
        "note": note,
        "source": {"file": place.file, "line": place.line, "kind": place.kind, "reasons": list(place.reasons)},
    }
    show(answer, "\n".join(map(plain, _lines(target, services, note, place))), args.format)
    return 0 if attached else 1


def _meant(text: str, settings: Settings) -> str:
    """Return the one function that runs under a bare name; what means none is returned as it is."""
    if ":" in text or set("*?[") & set(text):
        return text
    try:
        reply = collector.get(settings, f"/api/functions?{urlencode({'q': text})}")
    except Failure:
        return text
    listed = reply.get("functions") if isinstance(reply, dict) else None
    names = {str(one.get("function")) for one in listed or () if isinstance(one, dict)}
    found = sorted(name for name in names if name.replace(":", ".").endswith(f".{text}"))
    if len(found) > 1:
        raise Invalid("function", text, f"say which one: {', '.join(found[:20])}")
    return found[0] if found else text


def _ask(settings: Settings, target: Target) -> tuple[list[dict[str, Any]], str]:
    """Return what the processes of each service reported about ``target``, and why nothing is known if that is so."""
    try:
        query = urlencode({"q": str(target), "function": str(target)})
        reply = collector.get(settings, f"/api/functions?{query}")
    except Failure as failure:
        return [], str(failure)
    listed = reply.get("functions") if isinstance(reply, dict) else None
    # A collector of another version may search for a part of the name.
    services = [one for one in listed or () if isinstance(one, dict) and one.get("function") == str(target)]
    return services, "" if services else "no process has reported this function"


def _attached(service: dict[str, Any]) -> bool:
    """True when it works wherever it is known: a server's first process often never loads the application."""
    states = service.get("states") or {}
    working: int = sum(states.get(state, 0) for state in _ATTACHED)
    return working > 0 and working == sum(states.values()) - states.get(_NOT_LOADED, 0)


def _lines(target: Target, services: list[dict[str, Any]], note: str, place: Place) -> list[str]:
    lines = [str(target)]
    if place.line:
        lines.append(f"  defined in {place.file}:{place.line} ({place.kind.replace('_', ' ')})")
    for service in services:
        lines.append(f"  {service.get('service', '?')}: {service.get('summary', 'unknown')}")
        instances = service.get("instances") or ()
        for one in instances:
            reason = f": {one['reason']}" if one.get("reason") else ""
            pid = f"{one.get('pid', '?')} at {one['collector']}" if one.get("collector") else one.get("pid", "?")
            lines.append(f"    {one.get('instance', '?')} (pid {pid}): {one.get('state', '?')}{reason}")
            lines += [f"      not reached: {reference}" for reference in one.get("references") or ()]
        if left := service.get("instances_left_out"):
            lines.append(f"    … and {left} more processes")
        lines += [] if instances else [f"    {reason}" for reason in service.get("reasons") or ()]
    if note:
        lines.append(f"  {note}")
    # What is at work needs no guess from its source.
    lines += [f"  {reason}" for reason in place.reasons if not services]
    if not services and not place.reasons:
        lines.append("  nothing in its source keeps the agent from it: it is attached once a process loads the module")
    return lines


command = Command(
    "explain",
    "tell whether a function is attached, and why not",
    "mystic explain app.ocr:OCRService.process",
    _configure,
    _run,
)
