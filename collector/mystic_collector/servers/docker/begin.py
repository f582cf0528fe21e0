"""One server on its way from a spec to a running container."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import replace

from mystic_collector.servers.docker import network
from mystic_collector.servers.docker.container import MAIN
from mystic_collector.servers.docker.ours import Ours
from mystic_collector.servers.docker.pull import pull
from mystic_collector.servers.docker.reading import MODE
from mystic_collector.servers.errors import ServersError
from mystic_collector.servers.launch import image_of
from mystic_collector.servers.server import Server
from mystic_collector.servers.spec import ServerSpec
from mystic_collector.servers.verdict import deaf
from mystic_collector.tracing.step import step

_EVERY = 0.1
"""Seconds between two looks at a port that is not open yet."""

_SOON = 0.2
"""Seconds in which a program that cannot run at all has mostly ended."""

_PATIENCE = 10.0
"""Seconds that stopping waits for a step that is under way; it undoes itself if it takes longer."""


class Beginning:
    """Brings one server up, and can be abandoned at any moment.

    Nothing is ever cancelled in the middle of a question to the engine: what a question has made is known, or was not
    made. So nothing is left that nobody knows of.

    Attributes:
        server: as it is now: ``starting``, then as it was when it settled.
        settled: set when it runs, or has failed, or was abandoned.
    """

    def __init__(self, ours: Ours, spec: ServerSpec, restarts: int) -> None:
        self.spec = spec
        self.server = Server(spec, "starting", MODE, "it is being prepared", created_at=time.time(), restarts=restarts)
        self.settled = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self._ours = ours
        self._abandoned = False
        self._leave = False

    async def run(self) -> None:
        """Bring it up; ends with :attr:`settled`, whatever happens."""
        try:
            with step("docker image", mystic__server=self.spec.name):
                await self._image()
            with step("docker create and start container", mystic__server=self.spec.name):
                identity = await self._container()
            if identity:
                with step("wait until it listens", mystic__server=self.spec.name):
                    await self._ready(identity)
        except ServersError as error:
            cause = "image" if self.server.progress is not None else error.code
            self._tell(state="failed", detail=error.what, remedy=error.remedy, cause=cause, progress=None)
        except Exception:
            remedy = "see the collector's log"
            self._tell(state="failed", detail="the collector failed to start it", remedy=remedy, cause="collector")
            raise
        finally:
            self.settled.set()

    async def abandon(self, leave: bool = False) -> None:
        """Go no further; ``leave`` what there is to the next process with our id."""
        self._abandoned, self._leave = True, leave
        if self.task is not None:
            await asyncio.wait([self.task], timeout=_PATIENCE)

    def _tell(self, **changes: object) -> None:
        self.server = replace(self.server, **changes)  # type: ignore[arg-type]  # fields of Server, from this file

    async def _image(self) -> None:
        if await self._ours.has_image(self.spec):
            return
        image, loop = image_of(self.spec, self._ours.runners), asyncio.get_running_loop()
        self._tell(detail=f"pulling the image {image}", progress=0.0)

        def told(share: float) -> bool:
            text = f"pulling the image {image}, {share:.0%}"
            loop.call_soon_threadsafe(lambda: self._tell(detail=text, progress=share))
            return self._wanted()

        await asyncio.to_thread(pull, self._ours.engine, image, told)
        self._tell(progress=None)

    async def _container(self) -> str:
        """Make and start the container; returns its id, or nothing when it was abandoned."""
        if not self._wanted():
            return ""
        self._tell(detail="its container is being made")
        identity = await self._ours.create(self.spec, MAIN, self.server.restarts)
        self._tell(identity=identity[:12])
        try:
            if self._wanted():
                await self._ours.engine.ask(lambda client: client.api.start(identity))
        except ServersError:
            await self._ours.remove_by_id(identity)
            raise
        if not self._wanted():
            if not self._leave:
                await self._ours.remove_by_id(identity)
            return ""
        return identity

    def _wanted(self) -> bool:
        return not self._abandoned

    async def _ready(self, identity: str) -> None:
        """Wait until it listens, or has ended."""
        if self.spec.transport == "stdio":
            # It tells nobody that it is ready.
            await asyncio.sleep(_SOON)
            self._tell(state="running", detail="")
            return
        self._tell(detail=f"waiting for it to listen on port {self.spec.port}")
        deadline = time.monotonic() + self.spec.timeout
        while self._wanted():
            found = await self._ours.inspect(identity)
            if found["State"]["Status"] != "running":
                self._tell(state="stopped", detail="")  # the engine knows why
                return
            where = network.address(found, self._ours.owner)
            if await asyncio.to_thread(_listens, where, self.spec.port):
                self._tell(state="running", detail="")
                return
            if time.monotonic() > deadline:
                await self._ours.engine.ask(lambda client: client.api.stop(identity, timeout=1))
                self._tell(**deaf(self.spec)._asdict())
                return
            await asyncio.sleep(_EVERY)


def _listens(where: str, port: int) -> bool:
    if not where:
        return False
    try:
        with socket.create_connection((where, port), timeout=1.0):
            return True
    except OSError:
        return False
