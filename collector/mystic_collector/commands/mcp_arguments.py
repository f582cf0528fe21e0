"""The arguments of ``mystic mcp install``, apart from what it does: the chat itself starts without that."""

from __future__ import annotations

import argparse

from mystic_collector.clients.places import CLIENTS, SCOPES, USER
from mystic_collector.commands.connection import add_address
from mystic_collector.version import VERSION

PLAIN = "gnosis-mystic"
"""What a client calls the chat where no project is known."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--client", action="append", choices=tuple(CLIENTS), help="default: the one that is here")
    parser.add_argument("--scope", choices=SCOPES, default=USER, help="for all your projects, or in this one's folder")
    parser.add_argument("--file", help="the client's configuration, where it is not in its usual place")
    parser.add_argument("--name", default="", help=f"what the client calls it (default: {PLAIN}, or PROJECT-mystic)")
    parser.add_argument("--project", help="the project's folder (default: PROJECT_ROOT or the current folder)")
    parser.add_argument("--key-file", help="file that holds the collector's key (default: MYSTIC_API_KEY_FILE)")
    parser.add_argument("--docker", action="store_true", help="start the chat in a container, beside the collector's")
    parser.add_argument("--network", help="Docker network of the collector (default: the one of 'mystic init')")
    parser.add_argument("--image", default=f"gnosis-mystic:{VERSION}", help="image of the collector")
    parser.add_argument(
        "--read-only", action="store_true", default=argparse.SUPPRESS, help="offer nothing that changes the service"
    )
    parser.add_argument("--remove", action="store_true", help="take it out again")
    parser.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")
    # Said before the word, too, where the program puts it; what is said after it wins.
    parser.add_argument("--format", choices=("text", "json"), default=argparse.SUPPRESS, help="output format")
    add_address(parser, argparse.SUPPRESS)
