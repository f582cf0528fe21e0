"""``mystic release``: take a hijack back."""

from __future__ import annotations

import argparse

from mystic_agent.cli.command import Command

from mystic_collector.commands.connection import Connection
from mystic_collector.commands.ending import ending, plain, show
from mystic_collector.commands.named import named, naming


@ending
def run(args: argparse.Namespace) -> int:
    """Remove every hijack with this id or this target."""
    with Connection(args) as collector:
        found = named(args.target, collector.get("/api/hijacks")["hijacks"])
        for one in found:
            collector.delete(f"/api/hijacks/{one['id']}")
    text = "\n".join(plain(f"released {one['target']} ({one['id']})") for one in found)
    show(args, {"released": [{"id": one["id"], "target": one["target"]} for one in found]}, text)
    return 0


command = Command(
    name="release",
    help="take a hijack back",
    example="mystic release app.ocr:process",
    configure=naming("target", "a hijack's id, or the target it was made for"),
    run=run,
)
