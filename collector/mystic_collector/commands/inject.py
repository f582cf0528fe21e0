"""``mystic inject``: put the agent into Kubernetes manifests, where no webhook is to do it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mystic_agent.cli.command import Command

from mystic_collector.commands.ending import Failed, ending, plain


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("files", nargs="*", default=["-"], help="manifests (default, or -: standard input)")
    parser.add_argument("--every", action="store_true", help="also pods without the annotation mystic.io/inject")


@ending
def run(args: argparse.Namespace) -> int:
    """Print the manifests with the agent in their pods; what was left out is said on stderr."""
    # Imported here, so that listing the commands stays quick.
    from mystic_collector.injection.manifest import injected
    from mystic_collector.injection.settings import load

    text = "\n---\n".join(sys.stdin.read() if file == "-" else Path(file).read_text("utf-8") for file in args.files)
    made, count, warnings = injected(text, load().collector, every=args.every)
    for warning in warnings:
        print(f"mystic: {plain(warning)}", file=sys.stderr)
    if not count:
        remedy = 'annotate a pod template with mystic.io/inject: "true", or give --every'
        raise Failed("the agent was put into no pod", remedy)
    sys.stdout.write(made)
    return 0


command = Command(
    name="inject",
    help="put the agent into Kubernetes manifests: mystic inject app.yaml | kubectl apply -f -",
    example="mystic inject --every app.yaml",
    configure=configure,
    run=run,
)
