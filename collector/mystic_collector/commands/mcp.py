"""``mystic mcp``: the chat on stdio, for clients such as Claude Desktop that start their servers themselves.

``mystic mcp install`` tells them of it.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mystic_agent.cli.command import Command
from mystic_agent.contract.wire import API_KEY_HEADER

from mystic_collector.commands import mcp_arguments
from mystic_collector.commands.connection import add_address, address_of
from mystic_collector.commands.ending import ending
from mystic_collector.settings import read_key, read_truth


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "--read-only", action="store_true", help="offer nothing that changes the service (MYSTIC_CHAT_READ_ONLY)"
    )
    add_address(parser)
    actions = parser.add_subparsers(dest="action", metavar="install")
    told = "tell a chat client on this machine of it: Claude Desktop, Claude Code, Cursor, VS Code"
    mcp_arguments.configure(actions.add_parser("install", help=told, description=told))


@ending
def run(args: argparse.Namespace) -> int:
    """Speak MCP on stdin and stdout until stdin ends; a collector that is away is told as an error of each call."""
    if args.action == "install":
        from mystic_collector.commands import mcp_install

        return mcp_install.run(args)
    address, key = address_of(args), read_key(os.environ)
    read_only = args.read_only or read_truth(os.environ, "MYSTIC_CHAT_READ_ONLY")
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="mystic: %(message)s")
    # Imported here, so that listing the commands stays quick.
    from mystic_collector.chat.collector import Collector
    from mystic_collector.chat.server import build_server
    from mystic_collector.chat.session import Chat

    with _traced(address, key):
        try:
            build_server(Chat(Collector(address, key), read_only)).run("stdio")
        except KeyboardInterrupt:
            return 0  # the client ends us so
    return 0


@contextmanager
def _traced(address: str, key: str) -> Iterator[None]:
    """Tell the collector what is done here for each message, in one trace with what it does itself."""
    if not read_truth(os.environ, "MYSTIC_OWN_TRACES", unset=True):
        yield
        return
    from mystic_collector.tracing.posted import posted
    from mystic_collector.tracing.step import at_work
    from mystic_collector.tracing.tracing import Tracing

    tracing = Tracing(posted(address, lambda: {API_KEY_HEADER: key} if key else {}), everywhere=True)
    at_work.set(tracing.tracer())
    try:
        yield
    finally:
        tracing.stop()


command = Command(
    name="mcp",
    help="speak MCP on stdio, for Claude Desktop and other clients that start their servers",
    example="mystic mcp install --client claude-desktop",
    configure=configure,
    run=run,
)
