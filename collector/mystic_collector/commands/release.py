"""``mystic release``: take a hijack back."""

from __future__ import annotations

import argparse
from typing import Any

from mystic_agent.cli.command import Command
from mystic_agent.contract.errors import Invalid

from mystic_collector.commands.connection import Connection, add_address
from mystic_collector.commands.ending import Failed, ending, plain, show
from mystic_collector.discovery.resolve import resolve


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("target", help="a hijack's id, or the target it was made for")
    add_address(parser)


@ending
def run(args: argparse.Namespace) -> int:
    """Remove every hijack with this id or this target."""
    with Connection(args) as collector:
        listed = collector.get("/api/hijacks")["hijacks"]
        found = [one for one in listed if args.target in (one["id"], one["target"])] or _by_name(args.target, listed)
        for one in found:
            collector.delete(f"/api/hijacks/{one['id']}")
    text = "\n".join(plain(f"released {one['target']} ({one['id']})") for one in found)
    show(args, {"released": [{"id": one["id"], "target": one["target"]} for one in found]}, text)
    return 0


def _by_name(text: str, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    try:
        target = resolve(text, dict.fromkeys(one["target"] for one in listed))
    except Invalid as error:
        raise Failed(f"no hijack is {text!r}", error.remedy if listed else "there are none", 2) from error
    found = [one for one in listed if one["target"] == target]
    if not found:
        raise Failed(f"no hijack is {text!r}", "'mystic status' lists them", 2)
    return found


command = Command(
    name="release",
    help="take a hijack back",
    example="mystic release app.ocr:process",
    configure=configure,
    run=run,
)
