"""What a chat client is told, so that it starts the chat: in a container on the project's network, or without one.

Format: https://modelcontextprotocol.io/docs/develop/connect-local-servers (``mcpServers``).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

KEY_IN_CONTAINER = "/run/secrets/mystic_api_key"
CONTAINER_HOST = "mystic"
"""The collector's name on the network of the project's containers."""
PORT = "8899"


def in_container(
    root: Path,
    network: str,
    image: str,
    *,
    key: Path | None,
    host: str = CONTAINER_HOST,
    port: str = PORT,
    docker: str = "docker",
) -> dict[str, Any]:
    """Return what starts the chat in a container.

    Args:
        root: the project, absolute.
        network: of the containers, as Docker knows it.
        image: of the collector.
        key: file that holds the collector's key; None when it asks for none.
        host: the collector's name on that network.
        docker: the program.
    """
    secret = () if key is None else ("--env", f"MYSTIC_API_KEY_FILE={KEY_IN_CONTAINER}")
    mounted = () if key is None else ("-v", f"{key}:{KEY_IN_CONTAINER}:ro")
    address = ("--env", f"MYSTIC_HOST={host}", "--env", f"MYSTIC_PORT={port}", "--env", "PROJECT_ROOT=/app")
    run = ("run", "--rm", "-i", "--network", network)
    return {"command": docker, "args": [*run, *address, *secret, "-v", f"{root}:/app:ro", *mounted, image]}


def here(root: Path | None, *, key: Path | None, host: str = "127.0.0.1", port: str = PORT) -> dict[str, Any]:
    """Return what starts the chat with this interpreter; parameters as for ``in_container``, ``root`` where known."""
    env = {"MYSTIC_HOST": host, "MYSTIC_PORT": port}
    if root is not None:
        env["PROJECT_ROOT"] = str(root)
    return {
        "command": sys.executable,
        # -P: clients start it in folders of their own choosing, whose modules must not stand in for ours.
        "args": ["-P", "-m", "mystic_agent.cli", "mcp"],
        "env": env if key is None else {**env, "MYSTIC_API_KEY_FILE": str(key)},
    }


def chat_config(root: Path, name: str, network: str, image: str, key: Path) -> dict[str, Any]:
    """Return ``{"mcpServers": {…}}`` with both ways; people keep the one they want."""
    return {
        "mcpServers": {
            f"{name}-mystic": in_container(root, network, image, key=key),
            f"{name}-mystic-local": here(root, key=key),
        }
    }
