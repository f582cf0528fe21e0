"""``mystic hijack``: change what a function does, now, in every process."""

from __future__ import annotations

import argparse
import json
from typing import Any

from mystic_agent.cli.command import Command
from mystic_agent.contract.strategy import STRATEGIES

from mystic_collector.commands.connection import Connection, add_address, user
from mystic_collector.commands.ending import Failed, ending, plain, show
from mystic_collector.commands.named import named
from mystic_collector.commands.polled import polled


class _Strategy(argparse.Action):
    """Collects ``--cache ttl=30m`` and the like in the order in which they are given."""

    def __call__(self, parser: object, args: argparse.Namespace, values: Any, option: str | None = None) -> None:
        name = str(option).lstrip("-").replace("-", "_")
        args.strategies = [*(getattr(args, "strategies", None) or []), {name: _options(name, values)}]


def _options(name: str, pairs: list[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            known = f"; its options are {', '.join(STRATEGIES[name])}" if STRATEGIES[name] else ""
            option = f"--{name.replace('_', '-')}"
            raise argparse.ArgumentError(None, f"{option} takes OPTION=VALUE, not {pair!r}{known}")
        options[key] = _value(text)
    return options


def _value(text: str) -> Any:
    """Read ``true``, ``30`` and ``["a"]`` as JSON, ``a,b`` as a list, and anything else as text."""
    try:
        return json.loads(text)
    except ValueError:
        return text.split(",") if "," in text else text


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments: one option for every strategy there is."""
    parser.add_argument("target", help="module:qualname with globs, a dotted path or a bare name")
    for name, options in STRATEGIES.items():
        known = "; ".join(f"{key}: {option.help}" for key, option in options.items()).replace("%", "%%")
        text = f"{name} the call; {known}" if known else f"{name} the call"
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            action=_Strategy,
            nargs="*",
            metavar="OPTION=VALUE",
            dest="strategies",
            help=text,
        )
    parser.add_argument("--stage", default="*", help="only where MYSTIC_ENV is this (default: everywhere)")
    parser.add_argument("--service", default="*", help="only this service (default: all)")
    parser.add_argument("--owner", default=None, help="who asks for it (default: you)")
    parser.add_argument("--reason", default="", help="why; shown to others")
    parser.add_argument(
        "--replace", action="store_true", help="change the hijack with this id or target instead of adding another"
    )
    parser.add_argument(
        "--expires", default=None, help="end by itself after, e.g. 24h, or never (default: MYSTIC_DEFAULT_EXPIRY)"
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what it would match, and what is refused")
    add_address(parser)


@ending
def run(args: argparse.Namespace) -> int:
    """Add or change the hijack and wait until every process has answered, five seconds at most."""
    if not args.strategies:
        choices = ", ".join(f"--{name}" for name in STRATEGIES)
        raise Failed("no strategy is given", f"add at least one of {choices}", 2)
    fields: dict[str, Any] = {
        "target": args.target,
        "service": args.service,
        "stages": {args.stage: args.strategies},
        "owner": user() if args.owner is None else args.owner,
        "reason": args.reason,
    }
    if args.expires:
        fields["expires_in"] = args.expires
    with Connection(args) as collector:
        if args.dry_run:
            tried = _try(collector, fields, args.replace)
            show(args, tried, _trial(tried))
            return 0
        put = _replace(collector, fields) if args.replace else collector.post("/api/hijacks", fields)
        added = _settled(collector, put)
    show(args, added, _text(added))
    return 1 if added["progress"]["failures"] and not added["progress"]["attached"] else 0


def _try(collector: Connection, fields: dict[str, Any], replace: bool) -> dict[str, Any]:
    """Return what would come of it."""
    tried: dict[str, Any]
    if not replace:
        tried = collector.post("/api/hijacks", fields, dry_run="true")
        return tried
    first = named(fields["target"], collector.get("/api/hijacks")["hijacks"])[0]
    tried = collector.put(f"/api/hijacks/{first['id']}", {**fields, "target": first["target"]}, dry_run="true")
    return tried


def _trial(tried: dict[str, Any]) -> str:
    """Return what a dry run found, process by process."""
    lines = [f"would be on {tried['hijack']['target']}: {tried['summary']}; nothing was changed"]
    for process in tried["processes"]:
        lines.append(f"  {process['service']} (pid {process['pid']}{_place(process)}, {process['stage']})")
        for one in process["matches"]:
            there = f"; there already: {', '.join(one['in_force'])}" if one["in_force"] else ""
            outcome = f"refused: {one['reason']}" if one["outcome"] == "refused" else f"{one['kind']}, would attach"
            lines.append(f"    {one['function']}: {outcome}{there}")
        lines += [f"    {process['note']}"] if process["note"] else []
        lines += [f"    … and {process['matches_left_out']} more"] if process["matches_left_out"] else []
    if not tried["processes"]:
        lines.append("  no process runs now that it concerns")
    lines += [f"  in the source, reported by no process: {name}" for name in tried["only_written"][:20]]
    lines += ["  everything is switched off now: 'mystic on' would bring it into force"] if tried["off"] else []
    return "\n".join(plain(line) for line in lines)


def _place(process: dict[str, Any]) -> str:
    """Return which collector of a fleet a process belongs to."""
    return f" at {process['collector']}" if process.get("collector") else ""


def _replace(collector: Connection, fields: dict[str, Any]) -> dict[str, Any]:
    """Change the first hijack that is named, and take further ones of the same target back.

    Raises:
        Failed: when somebody has changed one of them since they were looked up.
    """
    listed = collector.get("/api/hijacks")
    (first, *others), seen = named(fields["target"], listed["hijacks"]), listed["version"]
    changed: dict[str, Any] = collector.put(f"/api/hijacks/{first['id']}", {**fields, "target": first["target"]}, seen)
    for one in others:
        collector.delete(f"/api/hijacks/{one['id']}", seen)
    return changed


def _settled(collector: Connection, added: dict[str, Any]) -> dict[str, Any]:
    """Return the hijack once every process that listens has said what came of it, or as it is after five seconds."""
    path = f"/api/hijacks/{added['id']}"
    return polled(added, lambda: collector.get(path), _answered)


def _answered(added: dict[str, Any]) -> bool:
    progress = added["progress"]
    return bool(added["off"] or progress["answered"] + progress["unreachable"] >= progress["processes"])


def _text(added: dict[str, Any]) -> str:
    progress = added["progress"]
    lines = [f"{added['id']} on {added['target']}: {progress['summary']}"]
    lines += [
        f"  {one['function']} in process {one['pid']}{_place(one)} is {one['state']}: "
        f"{one['reason'] or 'no reason given'}"
        for one in progress["failures"]
    ]
    waiting = progress["processes"] - progress["applied"] - progress["unreachable"]
    if added["off"]:
        lines.append("  it comes into force with 'mystic on'")
    elif waiting > 0:
        have = "has" if waiting == 1 else "have"
        lines.append(f"  {waiting} of {progress['processes']} processes {have} not answered yet; see 'mystic status'")
    if silent := progress["unreachable"]:
        are, they = ("is", "it is") if silent == 1 else ("are", "they are")
        lines.append(f"  {silent} of {progress['processes']} {are} silent: ended, or cut off; {they} asked no more")
    if not progress["processes"]:
        lines.append("  no process runs now; it will be in force in those that start")
    return "\n".join(plain(line) for line in lines)


command = Command(
    name="hijack",
    help="change what a function does, in every process, without a restart",
    example="mystic hijack app.ocr:process --cache ttl=30m --expires 24h --reason 'OCR repeats'",
    configure=configure,
    run=run,
)
