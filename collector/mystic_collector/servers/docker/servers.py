"""The interface over a Docker engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from mystic_collector.servers.docker import logs, network
from mystic_collector.servers.docker.begin import Beginning
from mystic_collector.servers.docker.container import MAIN, RESTARTS, SESSION, environment, spec_of
from mystic_collector.servers.docker.engine import Engine, gone
from mystic_collector.servers.docker.ours import Ours
from mystic_collector.servers.docker.reading import MODE, judge, server_of
from mystic_collector.servers.docker.sessions import GOODBYE, Sessions
from mystic_collector.servers.errors import NameTaken, NotRunning, Rejected, ServersError, TooMany, UnknownServer
from mystic_collector.servers.idle import Idle
from mystic_collector.servers.launch import RUNNER_IMAGES, image_of
from mystic_collector.servers.protocol import Channel, Endpoint
from mystic_collector.servers.secrets import Read, from_folder
from mystic_collector.servers.server import Health, LogLine, Server
from mystic_collector.servers.spec import Placement, ServerSpec

_HEALTH_PATIENCE = 2.0


class DockerServers:
    """MCP servers as containers of one Docker engine; see :class:`~mystic_collector.servers.protocol.Servers`.

    Args:
        owner: an id that is the same after a restart of this process, and nobody else's: what carries it in its
            label is ours.
        engine: the Docker engine.
        runners: server type → image.
        secrets: reads a secret's value.
        most: servers that may be starting or running at a time.
        most_sessions: sessions of one stdio server at a time.
    """

    def __init__(
        self,
        owner: str,
        engine: Engine | None = None,
        runners: Mapping[str, str] = RUNNER_IMAGES,
        secrets: Read | None = None,
        most: int = 20,
        most_sessions: int = 8,
    ) -> None:
        self._engine = engine or Engine()
        self._ours = Ours(self._engine, owner, runners, secrets or from_folder(None))
        self._most = most
        self._begun: dict[str, Beginning] = {}
        self._sessions = Sessions(self._ours, most_sessions)
        self._admission = asyncio.Lock()
        self._idle = Idle(self.stop)
        self._adopted = False

    @property
    def mode(self) -> str:
        """What runs them."""
        return MODE

    async def health(self) -> Health:
        """Tell whether the engine answers."""
        try:
            asked = self._engine.ask(lambda client: client.version(), abandon=True)
            version = await asyncio.wait_for(asked, _HEALTH_PATIENCE)
        except TimeoutError:
            return Health(False, MODE, "the Docker engine does not answer in time", "see how busy it is")
        except ServersError as error:
            return Health(False, MODE, error.what, error.remedy)
        return Health(True, MODE, facts={"engine": version.get("Version", "")})

    async def start(self, spec: ServerSpec) -> Server:
        """Begin to start a server."""
        image_of(spec, self._ours.runners)  # refused before anything is begun
        if spec.placement != Placement():
            text = f"{spec.name!r} cannot be placed: Docker runs servers on one machine"
            raise Rejected(text, "leave placement out, or let the Kubernetes sidecar run it")
        async with self._admission:
            await self._adopt()
            await self._admit(spec)
            return self._begin(spec, 0)

    async def _admit(self, spec: ServerSpec) -> None:
        begun = {name for name, one in self._begun.items() if not one.settled.is_set()}  # before the engine is asked
        there = await self._ours.containers(role=MAIN)
        names = {self._ours.name_of(one) for one in there} | self._begun.keys()
        if spec.name in names:
            raise NameTaken.named(spec.name)
        live = {self._ours.name_of(one) for one in there if one["State"]["Status"] in ("running", "created", "paused")}
        live |= begun
        if len(live) >= self._most:
            raise TooMany(f"there are {len(live)} servers, as many as may be", "stop one, or raise MYSTIC_SERVERS_MAX")

    def _begin(self, spec: ServerSpec, restarts: int) -> Server:
        beginning = Beginning(self._ours, spec, restarts)
        self._begun[spec.name] = beginning
        self._idle.watch(spec)
        beginning.task = asyncio.create_task(beginning.run(), name=f"start {spec.name}")
        return beginning.server

    async def stop(self, name: str) -> Server:
        """End a server and take it away."""
        async with self._admission:
            await self._adopt()
            found = await self._take_away(name)
            await self._ours.tidy(bool(self._begun))
        return replace(found, state="stopped", detail="it was stopped", remedy="", progress=None)

    async def restart(self, name: str) -> Server:
        """End a server and begin it anew."""
        async with self._admission:
            await self._adopt()
            found = await self._take_away(name)
            return self._begin(found.spec, found.restarts + 1)

    async def _take_away(self, name: str) -> Server:
        found = await self._status(name)
        beginning = self._begun.get(name)
        if beginning is not None:
            await beginning.abandon()
        await self._ours.remove(await self._ours.containers(name=name))
        self._begun.pop(name, None)
        self._sessions.forget(name)
        self._idle.forget(name)
        return found

    async def status(self, name: str, wait: float = 0.0) -> Server:
        """Return a server as it is."""
        await self._adopted_once()
        return await self._status(name, wait)

    async def _status(self, name: str, wait: float = 0.0) -> Server:
        beginning = self._begun.get(name)
        if beginning is not None and wait > 0:
            try:
                await asyncio.wait_for(beginning.settled.wait(), wait)
            except TimeoutError:
                pass
            beginning = self._begun.get(name)
        if beginning is not None and (not beginning.settled.is_set() or beginning.server.state == "failed"):
            return beginning.server
        return await self._seen(await self._main(name))

    async def listed(self) -> tuple[Server, ...]:
        """Return all servers, by name."""
        await self._adopted_once()
        found = {self._ours.name_of(one): await self._seen(one) for one in await self._ours.containers(role=MAIN)}
        for name, one in self._begun.items():
            if not one.settled.is_set() or one.server.state == "failed":
                found[name] = one.server
        return tuple(found[name] for name in sorted(found))

    async def logs(self, name: str, tail: int = 200, since: float = 0.0) -> tuple[LogLine, ...]:
        """Return the newest lines, of sessions' processes too."""
        await self._adopted_once()
        if name in self._begun and not (await self._ours.containers(name=name)):
            return ()
        await self._main(name)
        found: list[LogLine] = []
        for one in await self._ours.containers(name=name):
            try:
                found += await self._read(one, tail, since)
            except ServersError as error:
                if not gone(error):  # a session ended meanwhile
                    raise
        return tuple(sorted(found, key=lambda line: line.time)[-tail:]) if tail else ()

    async def follow(self, name: str, tail: int = 0, since: float = 0.0) -> AsyncIterator[LogLine]:
        """Yield lines of the process that was started with the server."""
        await self.status(name, wait=self._begun[name].spec.timeout if name in self._begun else 0.0)
        if name in self._begun and not (await self._ours.containers(name=name)):
            return
        found = await self._main(name)
        source = logs.follow(self._engine, found["Id"], self._spec(found), self._values(found), tail, since)
        async for line in source:
            yield line

    @asynccontextmanager
    async def open(self, name: str) -> AsyncIterator[Channel]:
        """Return the way to a running server's MCP side."""
        found = await self.status(name)
        with self._idle.used(found.spec):
            async with self._opened(name, found) as channel:
                yield channel

    @asynccontextmanager
    async def _opened(self, name: str, found: Server) -> AsyncIterator[Channel]:
        if found.state != "running":
            detail = f" ({found.detail})" if found.detail else ""
            raise NotRunning(f"the server {name!r} is {found.state}{detail}", found.remedy or "wait until it runs")
        attributes = await self._main(name)
        if found.spec.transport != "stdio":
            where = network.address(attributes, self._ours.owner)
            url = f"http://{where}:{found.spec.port}{found.spec.path}"
            yield Endpoint(url, "sse" if found.spec.transport == "sse" else "http")
            return
        async with self._sessions.open(found.spec, attributes["Id"]) as pipe:
            yield pipe

    async def close(self) -> None:
        """Let go of the engine; what is being started goes on as far as it has come."""
        self._idle.close()
        for one in self._begun.values():
            await one.abandon(leave=True)
        await self._sessions.close(GOODBYE + 5.0)
        self._engine.close()

    async def _adopted_once(self) -> None:
        if not self._adopted:
            async with self._admission:
                await self._adopt()

    async def _adopt(self) -> None:
        """Take over what a former process with our id has left: servers go on, its sessions have nobody any more."""
        if self._adopted:
            return
        await self._ours.join()
        await self._ours.remove(await self._ours.containers(role=SESSION))
        for one in await self._ours.containers(role=MAIN):
            spec = spec_of(one)
            if spec is None:
                await self._ours.remove([one])
            elif one["State"]["Status"] == "created":  # it was ended in the middle of a start
                await self._ours.remove([one])
                self._begin(spec, int(one["Config"]["Labels"].get(RESTARTS, "0")))
            else:
                if spec.transport == "stdio" and _interrupted(one["State"], spec):
                    await self._ours.renew(one["Id"], 0)
                self._idle.watch(spec)
        self._adopted = True

    async def _main(self, name: str) -> dict[str, Any]:
        found = await self._ours.containers(name=name, role=MAIN)
        if not found:
            raise UnknownServer.named(name)
        return found[0]

    async def _seen(self, attributes: dict[str, Any]) -> Server:
        spec = self._spec(attributes)
        told = attributes["State"]
        if self._sessions.has_first(spec.name) and told["Status"] in ("exited", "restarting"):
            told = {**told, "Status": "running"}  # between two sessions its process is begun anew
            return server_of(spec, {**attributes, "State": told})
        server = server_of(spec, attributes)
        if server.state != "failed" or told.get("OOMKilled"):
            return server
        try:
            last = await self._read(attributes, 1, 0.0)
        except ServersError as error:
            if not gone(error):
                raise
            return server  # it is being taken away
        return server_of(spec, attributes, last[-1].text[:300] if last else "")

    async def _read(self, attributes: dict[str, Any], tail: int, since: float) -> list[LogLine]:
        spec = self._spec(attributes)
        return await logs.read(self._engine, attributes["Id"], spec, self._values(attributes), tail, since)

    def _spec(self, attributes: dict[str, Any]) -> ServerSpec:
        spec = spec_of(attributes)
        if spec is None:
            name = self._ours.name_of(attributes)
            raise NotRunning(
                f"the labels of the server {name!r} were changed by somebody", "stop it, and start it again"
            )
        return spec

    def _values(self, attributes: dict[str, Any]) -> list[str]:
        """Return what must not be read in a log: the values of its variables and secrets."""
        spec, values = self._spec(attributes), environment(attributes)
        return [values.get(name, "") for name in (*spec.env, *(one.env for one in spec.secrets))]


def _interrupted(told: Mapping[str, Any], spec: ServerSpec) -> bool:
    """True when a stdio process may be in the middle of a session that nobody holds any more, or has ended with it.

    The end of its input is all it sees of a collector that is killed; then it ends in order.
    """
    return told["Status"] == "running" or (told["Status"] == "exited" and judge(told, spec).state == "stopped")
