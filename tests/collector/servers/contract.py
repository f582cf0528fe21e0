"""What a test of the contract needs from an implementation: one class each, listed in LABORATORIES.

The suite is ``test_contract.py``; a further implementation is one more entry.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mystic_collector.servers.protocol import Pipe, Servers
from mystic_collector.servers.server import Server
from mystic_collector.servers.spec import ServerSpec
from mystic_collector.servers.validation import read_spec

PATIENCE = 90.0


class Laboratory(ABC):
    """One implementation and whatever it runs servers in.

    Attributes:
        most: servers it lets run at a time.
        most_sessions: sessions of one stdio server.
    """

    most = 3
    most_sessions = 3

    @abstractmethod
    def __init__(self, folder: Path, secrets: Path) -> None:
        """Find what it needs; skip the test, with the reason, where that is not there."""

    @abstractmethod
    def open(self) -> Servers:
        """Return the implementation; a second call returns what the next process with the same data would have."""

    @abstractmethod
    def left(self) -> list[str]:
        """Return the names of what is still there of ours in the engine: containers, pods, networks."""

    @abstractmethod
    def texts(self) -> str:
        """Return all that others with access to the engine's labels and annotations can read of our servers."""

    @abstractmethod
    async def clean(self) -> None:
        """Take away all of ours."""

    @property
    @abstractmethod
    def image(self) -> str:
        """Return the image that holds the probe."""

    def spec(self, name: str, *args: str, **fields: Any) -> ServerSpec:
        """Return a server that is the probe."""
        given = {
            "name": name,
            "server_type": "docker",
            "image": self.image,
            "command": ["python", "/opt/probe.py"],
            "args": list(args),
            **fields,
        }
        return read_spec(given)


async def settled(servers: Servers, name: str) -> Server:
    """Return a server once it no longer starts."""
    found = await servers.status(name, wait=PATIENCE)
    assert found.state != "starting", found
    return found


async def eventually(servers: Servers, name: str, state: str) -> Server:
    """Return a server once it is in a state."""
    async with asyncio.timeout(PATIENCE):
        while (found := await servers.status(name, wait=1.0)).state != state:
            await asyncio.sleep(0.02)
    return found


class Speech:
    """JSON-RPC with the probe over a pipe."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._rest = b""

    async def ask(self, method: str, **params: Any) -> Any:
        """Return the result of one request; None when the process ended instead."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        await self._pipe.send(json.dumps(request).encode() + b"\n")
        async with asyncio.timeout(PATIENCE):
            while b"\n" not in self._rest:
                data = await self._pipe.receive()
                if not data:
                    return None
                self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)["result"]

    async def call(self, tool: str, **arguments: Any) -> str | None:
        """Return the text of a tool's result."""
        result = await self.ask("tools/call", name=tool, arguments=arguments)
        return None if result is None else result["content"][0]["text"]


LABORATORIES: dict[str, Callable[[Path, Path], Laboratory]] = {}
