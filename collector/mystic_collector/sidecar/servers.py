"""MCP servers as pods; see :class:`~mystic_collector.servers.protocol.Servers`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from mystic_collector.servers.errors import NameTaken, NotRunning, ServersError, TooMany
from mystic_collector.servers.idle import Idle
from mystic_collector.servers.launch import image_of
from mystic_collector.servers.protocol import Channel, Endpoint
from mystic_collector.servers.secrets import Read
from mystic_collector.servers.server import Health, LogLine, Server
from mystic_collector.servers.spec import ServerSpec
from mystic_collector.sidecar import logs
from mystic_collector.sidecar.cluster import Cluster
from mystic_collector.sidecar.fleet import Held, Site
from mystic_collector.sidecar.forward import forwarded
from mystic_collector.sidecar.pod import (
    MAIN,
    REQUEST,
    TAKEN,
    annotation,
)
from mystic_collector.sidecar.reading import MODE, has_ended, is_up
from mystic_collector.sidecar.sessions import LAST_STATE, TICK, PodSessions
from mystic_collector.sidecar.settings import SidecarSettings
from mystic_collector.tracing.step import at_work, step

_log = logging.getLogger("mystic_collector.sidecar")
_HEALTH_PATIENCE = 1.8


class KubernetesServers(PodSessions):
    """MCP servers as pods of one or several clusters.

    Of a stdio server, the process that was started with it serves the first session; every further one that is open at
    the same time gets a pod of its own from the same spec. After a session its pod is replaced by a fresh one.

    Args:
        settings: of the sidecar.
        clusters: by context; the empty one is the sidecar's own.
        hide: reads a secret's value, where it is to be hidden in logs; None where values are not known here.
        clock: Unix seconds.
    """

    def __init__(
        self,
        settings: SidecarSettings,
        clusters: Mapping[str, Cluster] | None = None,
        hide: Read | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(settings, clusters, hide, clock)
        self._idle = Idle(self.stop)
        self._waking: asyncio.Task[None] | None = None
        self._waits: set[asyncio.Task[None]] = set()

    @property
    def mode(self) -> str:
        """What runs them."""
        return MODE

    async def wake(self) -> None:
        """Make the client, which takes a second on a busy machine, and begin to find what is there already."""
        try:
            await self._sites[""].cluster.ask(lambda: self._sites[""].cluster.api())
        except ServersError as error:
            _log.warning("%s", error)
        self._waking = asyncio.create_task(self._looked_again(), name="find servers")

    async def _looked_again(self) -> None:
        try:
            await self._adopted()
        except ServersError as error:
            _log.warning("the servers of before cannot be found now: %s", error)
        else:
            _log.info("%d MCP servers of before were found", len(self._all()))

    async def health(self) -> Health:
        """Tell whether the API server answers and lets us look at pods."""
        own = self._sites[""].cluster
        try:
            await asyncio.wait_for(own.knock(), _HEALTH_PATIENCE)
        except TimeoutError:
            return Health(False, MODE, "the Kubernetes API does not answer in time", "see how busy it is")
        except ServersError as error:
            return Health(False, MODE, error.what, error.remedy)
        return Health(True, MODE, facts={"namespace": own.namespace, "contexts": sorted(filter(None, self._sites))})

    async def start(self, spec: ServerSpec, request: str = "") -> Server:
        """Begin to start a server; a repeated ``request`` gets the answer of the first."""
        image_of(spec, self._runners)  # refused before anything is made
        site = self._site(spec)
        async with self._admission:
            await self._adopt()
            held = self._find(spec.name)
            if held is not None:
                if request and annotation(held.pod, REQUEST) == request:
                    return self._seen(held)
                raise NameTaken.named(spec.name)
            self._admit()
            made = await self._make(site, spec, MAIN, request=request)
            self._idle.watch(spec)
            if at_work.get() is not None:
                waiting = asyncio.create_task(self._waited(made), name=f"wait for {spec.name}")
                self._waits.add(waiting)
                waiting.add_done_callback(self._waits.discard)
            return self._seen(made)

    async def _waited(self, held: Held) -> None:
        """Be in the trace for as long as a server starts."""
        pod = held.pod["metadata"]["name"]
        waited = step("wait until its pod runs", mystic__server=held.spec.name, k8s__pod__name=pod)
        with waited as span, contextlib.suppress(ServersError):  # it was stopped meanwhile
            found = await self.status(held.spec.name, held.spec.timeout)
            if span is not None:
                span.set_attribute("mystic.server.state", found.state)

    def _admit(self) -> None:
        live = [held for held in self._all() if self._seen(held).state in ("starting", "running")]
        if len(live) >= self._settings.most:
            raise TooMany(f"there are {len(live)} servers, as many as may be", "stop one, or raise MYSTIC_SERVERS_MAX")

    async def stop(self, name: str) -> Server:
        """End a server and take it away."""
        async with self._admission:
            await self._adopt()
            held = self._known(name)
            await self._remove(held.site, [*self._of(held.site, name)])
            self._places.forget(name)
            self._idle.forget(name)
        return replace(self._seen(held), state="stopped", detail="it was stopped", remedy="")

    async def restart(self, name: str, request: str = "") -> Server:
        """End a server and begin it anew; a repeated ``request`` gets the answer of the first."""
        async with self._admission:
            await self._adopt()
            held = self._known(name)
            if request and annotation(held.pod, REQUEST) == request:
                return self._seen(held)
            self._places.forget(name)
            return self._seen(await self._renewed(held, self._restarts(held) + 1, request))

    async def status(self, name: str, wait: float = 0.0) -> Server:
        """Return a server as it is; nobody is asked for it."""
        await self._adopted()
        until = time.monotonic() + wait
        while True:
            held = self._known(name)
            found, left = self._seen(held), until - time.monotonic()
            if found.state != "starting" or left <= 0:
                return found
            await held.site.pods.change(min(left, TICK))

    async def listed(self) -> tuple[Server, ...]:
        """Return all servers, by name."""
        await self._adopted()
        return tuple(self._seen(held) for held in sorted(self._all(), key=lambda held: held.spec.name))

    async def logs(self, name: str, tail: int = 200, since: float = 0.0) -> tuple[LogLine, ...]:
        """Return the newest lines, of sessions' pods too."""
        await self._adopted()
        held, found = self._known(name), list[LogLine]()
        values = self._values(held.spec)
        for pod in self._of(held.site, name):
            if not pod.get("gone"):
                found += await logs.read(held.site.cluster, pod["metadata"]["name"], held.spec, values, tail, since)
        return tuple(sorted(found, key=lambda line: line.time)[-tail:]) if tail else ()

    async def follow(self, name: str, tail: int = 0, since: float = 0.0) -> AsyncIterator[LogLine]:
        """Yield lines of the pod that was started with the server."""
        await self._adopted()
        await self.status(name, self._known(name).spec.timeout)
        held = self._known(name)
        if not is_up(held.pod) and not has_ended(held.pod):
            return
        values, pod = self._values(held.spec), held.pod["metadata"]["name"]
        async for line in logs.follow(held.site.cluster, pod, held.spec, values, tail, since):
            yield line

    @asynccontextmanager
    async def open(self, name: str) -> AsyncIterator[Channel]:
        """Return the way to a running server's MCP side."""
        await self._adopted()
        held = self._known(name)
        found = self._seen(held)
        if found.state != "running":
            detail = f" ({found.detail})" if found.detail else ""
            raise NotRunning(f"the server {name!r} is {found.state}{detail}", found.remedy or "wait until it runs")
        with self._idle.used(held.spec):
            if held.spec.transport != "stdio":
                async with self._endpoint(held) as endpoint:
                    yield endpoint
                return
            async with self._session(held) as pipe:
                yield pipe

    @asynccontextmanager
    async def _endpoint(self, held: Held) -> AsyncIterator[Endpoint]:
        spec = held.spec
        if self._settings.reach == "forward":
            async with forwarded(held.site.cluster, held.pod["metadata"]["name"], spec.port) as (host, port):
                yield _at(host, port, spec)
        else:
            yield _at((held.pod.get("status") or {}).get("podIP", ""), spec.port, spec)

    async def _adopted(self) -> None:
        if all(site.adopted for site in self._sites.values()):
            await self._looked()
            return
        async with self._admission:
            await self._adopt()

    async def _looked(self) -> None:
        for context, site in self._sites.items():
            try:
                await site.pods.ready()
            except ServersError as error:
                if not context:
                    raise
                _log.warning("the cluster of context %r is left out: %s", context, error)

    async def _adopt(self) -> None:
        """Take over what a former process has left: servers go on, its sessions have nobody any more."""
        await self._looked()
        for site in self._sites.values():
            if not site.adopted:
                site.adopted = True
                await self._adopt_site(site)

    async def _adopt_site(self, site: Site) -> None:
        kept = {held.pod["metadata"]["uid"] for held in self._all()}
        await self._remove(site, [pod for pod in site.pods if pod["metadata"]["uid"] not in kept])
        for held in self._all():
            if held.site is not site:
                continue
            if annotation(held.pod, TAKEN) and self._judged(held) != "failed":
                await self._renewed(held, self._restarts(held))  # a session had it, and its process ends with that
            self._idle.watch(held.spec)

    async def close(self) -> None:
        """Let go of the clusters; servers go on."""
        self._closing = True
        self._idle.close()
        behind = [task for task in (self._waking, *self._waits) if task is not None]
        for task in behind:
            task.cancel()
        await asyncio.gather(*behind, return_exceptions=True)
        await self._places.close(LAST_STATE + 5.0)
        for site in self._sites.values():
            await site.pods.close()
            site.cluster.close()


def _at(where: str, port: int, spec: ServerSpec) -> Endpoint:
    host = f"[{where}]" if ":" in where else where
    return Endpoint(f"http://{host}:{port}{spec.path}", "sse" if spec.transport == "sse" else "http")
