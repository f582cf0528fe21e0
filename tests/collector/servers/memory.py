"""The interface with nothing behind it but this process: a second implementation, held to the same contract."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from mystic_collector.servers.errors import NameTaken, NotRunning, ServersError, TooMany, UnknownServer, Unreachable
from mystic_collector.servers.protocol import Channel
from mystic_collector.servers.secrets import Read, from_folder, hidden
from mystic_collector.servers.server import Health, LogLine, Server, plain
from mystic_collector.servers.spec import ServerSpec
from mystic_collector.servers.verdict import Verdict, exited

from .contract import Laboratory
from .image.probe import Left, Probe

IMAGE = "probe:1"


@dataclass
class Process:
    probe: Probe
    replies: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    ended: bool = False

    async def send(self, data: bytes) -> None:
        if self.ended:
            raise Unreachable("the server's process has ended", "open a new session")
        for line in data.splitlines():
            try:
                reply = self.probe.answer(line)
            except Left:
                self.ended = True
                reply = b""
            if reply is not None:
                self.replies.put_nowait(reply)

    async def receive(self) -> bytes:
        return b"" if self.ended and self.replies.empty() else await self.replies.get()


@dataclass
class Kept:
    server: Server
    env: dict[str, str]
    lines: list[LogLine] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    sessions: int = 0

    def say(self, text: str) -> None:
        self.lines.append(LogLine(time.time(), "stderr", plain(hidden(text, self.env.values()))))
        self.tell()

    def tell(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class MemoryServers:
    """Servers that are objects; ``kept`` is what a next one with the same data finds."""

    mode = "memory"

    def __init__(self, kept: dict[str, Kept], secrets: Read, most: int, most_sessions: int) -> None:
        self._kept = kept
        self._secrets = secrets
        self._most = most
        self._most_sessions = most_sessions
        self.down = ""

    async def health(self) -> Health:
        return Health(not self.down, self.mode, self.down)

    async def start(self, spec: ServerSpec) -> Server:
        if spec.name in self._kept:
            raise NameTaken.named(spec.name)
        if sum(one.server.state in ("starting", "running") for one in self._kept.values()) >= self._most:
            raise TooMany("there are as many servers as may be", "stop one")
        return self._begin(spec, 0)

    def _begin(self, spec: ServerSpec, restarts: int) -> Server:
        server = Server(spec, "starting", self.mode, created_at=time.time(), restarts=restarts)
        kept = self._kept[spec.name] = Kept(server, dict(spec.env))
        asyncio.get_running_loop().call_soon(self._run, kept)
        return server

    def _run(self, kept: Kept) -> None:
        spec = kept.server.spec
        found = Verdict("running")
        try:
            kept.env |= {one.env: self._secrets(one) for one in spec.secrets}
            if spec.image != IMAGE:
                raise ServersError(f"there is no such image: {spec.image!r}", "check its name")
            Probe(kept.env, kept.say).begin(list(spec.args))
        except ServersError as error:
            found = Verdict("failed", error.what, error.remedy, error.code)
        except Left as left:
            found = exited(left.args[0], kept.lines[-1].text if kept.lines else "")
        kept.server = replace(kept.server, **found._asdict(), started_at=time.time())
        kept.tell()

    def _one(self, name: str) -> Kept:
        if name not in self._kept:
            raise UnknownServer.named(name)
        return self._kept[name]

    async def stop(self, name: str) -> Server:
        kept = self._one(name)
        del self._kept[name]
        kept.server = replace(kept.server, state="stopped", detail="it was stopped")
        kept.tell()
        return kept.server

    async def restart(self, name: str) -> Server:
        found = await self.stop(name)
        return self._begin(found.spec, found.restarts + 1)

    async def status(self, name: str, wait: float = 0.0) -> Server:
        kept = self._one(name)
        if kept.server.state == "starting" and wait:
            try:
                await asyncio.wait_for(kept.changed.wait(), wait)
            except TimeoutError:
                pass
        return kept.server

    async def listed(self) -> tuple[Server, ...]:
        return tuple(self._kept[name].server for name in sorted(self._kept))

    async def logs(self, name: str, tail: int = 200, since: float = 0.0) -> tuple[LogLine, ...]:
        found = [line for line in self._one(name).lines if line.time > since]
        return tuple(found[-tail:]) if tail else ()

    async def follow(self, name: str, tail: int = 0, since: float = 0.0) -> AsyncIterator[LogLine]:
        kept = self._one(name)
        for line in await self.logs(name, tail, since):
            yield line
        told = len(kept.lines)
        while self._kept.get(name) is kept and kept.server.state in ("starting", "running"):
            await kept.changed.wait()
            fresh, told = kept.lines[told:], len(kept.lines)
            for line in fresh:
                yield line

    @asynccontextmanager
    async def open(self, name: str) -> AsyncIterator[Channel]:
        kept = self._one(name)
        if kept.server.state != "running":
            raise NotRunning(f"the server {name!r} is {kept.server.state}", kept.server.remedy)
        if kept.sessions >= self._most_sessions:
            raise TooMany(f"{name!r} has as many sessions as it may have", "end one")
        kept.sessions += 1
        try:
            yield Process(Probe(kept.env, kept.say))
        finally:
            kept.sessions -= 1

    async def close(self) -> None:
        pass


class MemoryLaboratory(Laboratory):
    def __init__(self, folder: Path, secrets: Path) -> None:
        self._secrets = from_folder(secrets)
        self._kept: dict[str, Kept] = {}

    def open(self) -> MemoryServers:
        return MemoryServers(self._kept, self._secrets, self.most, self.most_sessions)

    def left(self) -> list[str]:
        return sorted(self._kept)

    def texts(self) -> str:
        return ""

    async def clean(self) -> None:
        self._kept.clear()

    @property
    def image(self) -> str:
        return IMAGE
