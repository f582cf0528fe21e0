"""``mystic health``: whether the server of this container answers, for a container's health check."""

from __future__ import annotations

import argparse
import http.client
import json
import os

from mystic_agent.cli.command import Command
from mystic_agent.contract.errors import Invalid

from mystic_collector.commands.connection import ANYWHERE
from mystic_collector.commands.container import mode
from mystic_collector.commands.ending import Failed, ending, show

PORTS = {"server": ("MYSTIC_PORT", 8899), "sidecar": ("MCP_SIDECAR_PORT", 8053)}
PATIENCE = 3.0
"""Seconds; below the timeout of the image's health check."""


def configure(parser: argparse.ArgumentParser) -> None:
    """It takes nothing but what every command takes."""


@ending
def run(args: argparse.Namespace) -> int:
    """Ask ``/health`` once. The chat on standard input and output listens nowhere: it is healthy while it runs."""
    kind = mode(os.environ)
    if kind not in PORTS:
        show(args, {"status": "ok", "mode": kind}, "")
        return 0
    variable, default = PORTS[kind]
    port = os.environ.get(variable, "").strip() or str(default)
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise Invalid(variable, port, "give a whole number from 1 to 65535")
    given = os.environ.get("MYSTIC_HOST", "").strip().strip("[]") if kind == "server" else ""
    status, body = ask(ANYWHERE.get(given, given) or "127.0.0.1", int(port))
    if status != 200:
        raise Failed(f"the {kind} on port {port} answered {status}", "look into its log")
    show(args, json.loads(body), "")
    return 0


def ask(host: str, port: int) -> tuple[int, bytes]:
    """Return status and body of ``GET /health``.

    Raises:
        Failed: when nothing answers.
    """
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        return answer.status, answer.read(65536)
    except (OSError, http.client.HTTPException) as error:
        text = f"nothing answers at {host}:{port} ({type(error).__name__})"
        raise Failed(text, "look into its log, and at the port it was given") from error
    finally:
        connection.close()


command = Command(
    name="health",
    help="say whether the server of this container answers (exit code 0 or 1)",
    example="mystic health",
    configure=configure,
    run=run,
)
