"""``mystic renew``: let the lease of a hijack begin anew."""

from __future__ import annotations

import argparse
import time
from typing import Any

from mystic_agent.cli.command import Command

from mystic_collector.commands.connection import Connection
from mystic_collector.commands.ending import ending, plain, show
from mystic_collector.commands.named import named, naming


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    naming("target", "a hijack's id, or the target it was made for")(parser)
    parser.add_argument("--expires", default=None, help="from now, e.g. 24h, or never (default: MYSTIC_DEFAULT_EXPIRY)")


@ending
def run(args: argparse.Namespace) -> int:
    """Renew every hijack with this id or this target."""
    body = {"expires_in": args.expires} if args.expires else {}
    with Connection(args) as collector:
        found = named(args.target, collector.get("/api/hijacks")["hijacks"])
        renewed = [collector.post(f"/api/hijacks/{one['id']}/renew", body) for one in found]
    show(args, {"renewed": renewed}, "\n".join(map(_line, renewed)))
    return 0


def _line(one: dict[str, Any]) -> str:
    end = one["expires_at"]
    until = "never ends" if end is None else f"ends in {(end - time.time()) / 3600:.1f} h"
    return plain(f"{one['id']} on {one['target']} {until}")


command = Command(
    name="renew",
    help="let the lease of a hijack begin anew",
    example="mystic renew app.ocr:process --expires 7d",
    configure=configure,
    run=run,
)
