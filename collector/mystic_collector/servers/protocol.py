"""What runs servers: one interface, implemented by Docker, by the sidecar's client, and by what the sidecar does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from mystic_collector.servers.server import Health, LogLine, Server
from mystic_collector.servers.spec import ServerSpec


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server that listens is reached from here.

    Attributes:
        headers: to be sent with every request, such as the sidecar's token.
    """

    url: str
    transport: Literal["http", "sse"]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Pipe(Protocol):
    """Standard input and output of one process of a stdio server, of one session."""

    async def send(self, data: bytes) -> None:
        """Write all of ``data``.

        Raises:
            Unreachable: when the process has ended.
        """

    async def receive(self) -> bytes:
        """Return the next bytes of standard output, or ``b""`` once the process has ended."""


Channel = Endpoint | Pipe


class Servers(Protocol):
    """Runs MCP servers. Every method may raise ``EngineUnavailable`` and ``Forbidden``, but for :meth:`health`.

    Attributes:
        mode: ``docker`` or ``kubernetes``, as people read it.
    """

    @property
    def mode(self) -> str:
        """What runs them."""

    async def health(self) -> Health:
        """Tell whether servers can be run now; within two seconds, and it never raises."""

    async def start(self, spec: ServerSpec) -> Server:
        """Begin to start a server and return at once, mostly ``starting``.

        What happens then (pulling an image, waiting for the port) goes on behind; :meth:`status` tells. A start that
        fails leaves the server listed as ``failed`` with the cause, until :meth:`stop` takes it away.

        Raises:
            NameTaken: when there is a server with that name in any state; of two parallel starts one raises.
            TooMany: when as many servers as may be are starting or running.
            Rejected: when the engine refuses it outright.
        """

    async def stop(self, name: str) -> Server:
        """End a server with all its sessions and take it away; its name is free afterwards. Returns it ``stopped``.

        Raises:
            UnknownServer: when there is none.
        """

    async def restart(self, name: str) -> Server:
        """End a server with all its sessions and begin it anew from the same spec, as :meth:`start` does.

        Raises:
            UnknownServer: when there is none.
        """

    async def status(self, name: str, wait: float = 0.0) -> Server:
        """Return a server as it is now, or once it is no longer ``starting``, after ``wait`` seconds at most.

        Raises:
            UnknownServer: when there is none.
        """

    async def listed(self) -> tuple[Server, ...]:
        """Return all servers, by name."""

    async def logs(self, name: str, tail: int = 200, since: float = 0.0) -> tuple[LogLine, ...]:
        """Return the newest lines, oldest first: ``tail`` at most, written after ``since`` (Unix seconds).

        Raises:
            UnknownServer: when there is none.
        """

    def follow(self, name: str, tail: int = 0, since: float = 0.0) -> AsyncIterator[LogLine]:
        """Yield the newest ``tail`` lines and every further one, until the server ends or is taken away.

        Raises:
            UnknownServer: at the first step, when there is none.
        """

    def open(self, name: str) -> AbstractAsyncContextManager[Channel]:
        """Return the way to a running server's MCP side, for one session.

        Of a stdio server every open channel is a process of its own, which ends with it. ``list`` and ``status``
        know nothing of them.

        Raises:
            UnknownServer: when there is none.
            NotRunning: when it does not run.
            TooMany: when it has as many sessions as it may have.
        """

    async def close(self) -> None:
        """Let go of the engine. Servers go on, and are found again by the next process with the same data."""
