"""``mystic mcp-sidecar``: run MCP servers as Kubernetes pods, for the collector in the same pod."""

from __future__ import annotations

import argparse

from mystic_agent.cli.command import Command

from mystic_collector.commands.ending import Failed, ending


def configure(parser: argparse.ArgumentParser) -> None:
    """It takes nothing but what every command takes; the environment says the rest."""


@ending
def run(args: argparse.Namespace) -> int:
    """Serve until a signal; servers go on."""
    # Imported here, so that listing the commands stays quick.
    from mystic_collector.listener import start_logging
    from mystic_collector.sidecar.process import SidecarServer
    from mystic_collector.sidecar.settings import load

    settings = load()
    start_logging(settings.log_level)
    try:
        server = SidecarServer(settings)
    except OSError as error:
        raise Failed(str(error), "set MCP_SIDECAR_PORT to a free port") from error
    server.run()
    return 0


command = Command(
    name="mcp-sidecar",
    help="run MCP servers as Kubernetes pods, for the collector beside it",
    example="mystic mcp-sidecar",
    configure=configure,
    run=run,
)
