"""What a chat client is told, so that it starts the chat: in a container on the project's network, or without one.

Format: https://modelcontextprotocol.io/docs/develop/connect-local-servers (``mcpServers``).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def chat_config(root: Path, name: str, network: str, image: str) -> dict[str, Any]:
    """Return ``{"mcpServers": {…}}`` with both ways; people keep the one they want.

    Args:
        root: the project, absolute.
        network: of the containers, as Docker knows it.
        image: of the collector.
    """
    key = root / ".mystic" / "secrets" / "api_key"
    in_container = [
        *("run", "--rm", "-i", "--network", network),
        *("--env", "MYSTIC_HOST=mystic", "--env", "MYSTIC_PORT=8899", "--env", "PROJECT_ROOT=/app"),
        *("--env", "MYSTIC_API_KEY_FILE=/run/secrets/mystic_api_key"),
        *("-v", f"{root}:/app:ro", "-v", f"{key}:/run/secrets/mystic_api_key:ro", image),
    ]
    here = {
        "MYSTIC_HOST": "127.0.0.1",
        "MYSTIC_PORT": "8899",
        "PROJECT_ROOT": str(root),
        "MYSTIC_API_KEY_FILE": str(key),
    }
    return {
        "mcpServers": {
            f"{name}-mystic": {"command": "docker", "args": in_container},
            f"{name}-mystic-local": {
                "command": sys.executable,
                "args": ["-m", "mystic_agent.cli", "mcp"],
                "env": here,
            },
        }
    }
