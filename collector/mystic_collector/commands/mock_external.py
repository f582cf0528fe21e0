"""``mystic mock-external``: keep a function from calling out, in one stage, in one step."""

from __future__ import annotations

import argparse
import json
from typing import Any

from mystic_agent.cli.command import Command

from mystic_collector.commands.connection import Connection, add_address
from mystic_collector.commands.ending import Failed, ending, plain, show


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("name", help="the function that calls out, or whom it calls: host, host:port, program, http")
    parser.add_argument("--stage", default="development", help="where MYSTIC_ENV is this (default: development)")
    parser.add_argument("--service", default="*", help="only this service (default: all)")
    parser.add_argument("--value", help="what it returns instead, as JSON; anything else is text")
    parser.add_argument("--exception", help="what it raises instead, e.g. ConnectionError")
    parser.add_argument("--message", help="of the exception")
    parser.add_argument("--recording", help="replay what it really gave, as kept by the strategy record")
    parser.add_argument("--owner", help="who asks for it")
    parser.add_argument("--reason", help="why; shown to others")
    parser.add_argument("--expires", help="end by itself after, e.g. 24h")
    add_address(parser)


@ending
def run(args: argparse.Namespace) -> int:
    """Make the hijack, and say what it is on."""
    fields: dict[str, Any] = {"function": args.name, "stage": args.stage, "service": args.service}
    for name, given in (("exception", args.exception), ("message", args.message), ("recording", args.recording),
                        ("owner", args.owner), ("reason", args.reason), ("expires_in", args.expires)):  # fmt: skip
        if given is not None:
            fields[name] = given
    if args.value is not None:
        if args.exception is not None:
            raise Failed("both --value and --exception are given", "give one of them", 2)
        fields["value"] = _value(args.value)
    with Connection(args) as collector:
        made = collector.post("/api/analysis/external/mock", fields)
    text = f"{made['id']} on {made['target']}: mocked in {args.stage}; take it back with 'mystic release {made['id']}'"
    show(args, made, plain(text))
    return 0


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


command = Command(
    name="mock-external",
    help="answer in place of a function that calls out, in one stage",
    example="mystic mock-external api.example.com --stage development --value '{\"total\": 3}'",
    configure=configure,
    run=run,
)
