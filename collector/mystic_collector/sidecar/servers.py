"""MCP servers as pods; see :class:`~mystic_collector.servers.protocol.Servers`."""

from __future__ import annotations

import asyncio
import logging
import secrets as randomness
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from mystic_collector.servers.docker.idle import Idle
from mystic_collector.servers.errors import NameTaken, NotRunning, Rejected, ServersError, TooMany, UnknownServer
from mystic_collector.servers.launch import RUNNER_IMAGES, image_of
from mystic_collector.servers.protocol import Channel, Endpoint
from mystic_collector.servers.secrets import Read
from mystic_collector.servers.server import Health, LogLine, Server
from mystic_collector.servers.spec import ServerSpec
from mystic_collector.sidecar import logs
from mystic_collector.sidecar.attach import AttachedPipe, attach
from mystic_collector.sidecar.cluster import Cluster, Pod
from mystic_collector.sidecar.pod import (
    CREATED,
    MAIN,
    NAME,
    OWNER,
    REQUEST,
    RESTARTS,
    ROLE,
    SESSION,
    TAKEN,
    Making,
    annotation,
    label,
    pod_of,
    spec_of,
)
from mystic_collector.sidecar.pods import Pods
from mystic_collector.sidecar.reading import MODE, has_ended, is_up, judge, server_of
from mystic_collector.sidecar.refusals import Conflict
from mystic_collector.sidecar.settings import SidecarSettings

_log = logging.getLogger("mystic_collector.sidecar")
_HEALTH_PATIENCE = 1.8
_LAST_STATE = 5.0
"""Seconds the cluster has to say how a process ended, after its connection has."""
_TICK = 1.0


@dataclass(slots=True)
class _Site:
    """One cluster and what is seen of it."""

    cluster: Cluster
    pods: Pods
    adopted: bool = False


@dataclass(slots=True)
class _Held:
    """A server's pod and where it is."""

    site: _Site
    pod: Pod
    spec: ServerSpec


@dataclass(slots=True)
class _Sessions:
    """Sessions of one stdio server: who has the process that was started with it, and how many others there are."""

    open: int = 0
    first_taken: bool = False


@dataclass(slots=True)
class _Opened:
    """One session's process."""

    site: _Site
    pod: Pod
    first: bool
    pipe: AttachedPipe | None = field(default=None)


class KubernetesServers:
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
        self._settings = settings
        self._runners = {**RUNNER_IMAGES, **settings.images}
        if clusters is None:
            clusters = {context: Cluster(settings.namespace, context) for context in ("", *settings.contexts)}
        selector = f"{OWNER}={settings.prefix}"
        self._sites = {context: _Site(one, Pods(one, selector)) for context, one in clusters.items()}
        self._hide = hide
        self._clock = clock
        self._claimant = f"mystic-{randomness.token_hex(8)}"
        self._admission = asyncio.Lock()
        self._sessions: dict[str, _Sessions] = {}
        self._farewells: set[asyncio.Task[None]] = set()
        self._idle = Idle(self.stop)
        self._closing = False
        self._waking: asyncio.Task[None] | None = None

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

    # -- starting and ending ----------------------------------------------------------------------------------------

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
            return self._seen(await self._make(site, spec, MAIN, request=request))

    def _site(self, spec: ServerSpec) -> _Site:
        context = spec.placement.context
        if context not in self._sites:
            known = ", ".join(filter(None, self._sites)) or "none"
            raise Rejected(
                f"no cluster {context!r} is known here", f"name one of MCP_SIDECAR_CONTEXTS ({known}), or leave it out"
            )
        return self._sites[context]

    def _admit(self) -> None:
        live = [held for held in self._all() if self._seen(held).state in ("starting", "running")]
        if len(live) >= self._settings.most:
            raise TooMany(f"there are {len(live)} servers, as many as may be", "stop one, or raise MYSTIC_SERVERS_MAX")

    async def _make(self, site: _Site, spec: ServerSpec, role: str, restarts: int = 0, request: str = "") -> _Held:
        making = Making(
            owner=self._settings.prefix,
            image=image_of(spec, self._runners),
            pull_policy=self._settings.pull_policy,
            restart=self._settings.restart,
            role=role,
            restarts=restarts,
            request=request,
            now=self._clock(),
        )
        pod = await site.cluster.apply(pod_of(spec, making))
        site.pods.put(pod)
        if role == MAIN:
            self._idle.watch(spec)
        return _Held(site, pod, spec)

    async def stop(self, name: str) -> Server:
        """End a server and take it away."""
        async with self._admission:
            await self._adopt()
            held = self._known(name)
            await self._remove(held.site, [*self._of(held.site, name)])
            self._sessions.pop(name, None)
            self._idle.forget(name)
        return replace(self._seen(held), state="stopped", detail="it was stopped", remedy="")

    async def restart(self, name: str, request: str = "") -> Server:
        """End a server and begin it anew; a repeated ``request`` gets the answer of the first."""
        async with self._admission:
            await self._adopt()
            held = self._known(name)
            if request and annotation(held.pod, REQUEST) == request:
                return self._seen(held)
            self._sessions.pop(name, None)
            return self._seen(await self._renewed(held, self._restarts(held) + 1, request))

    def _restarts(self, held: _Held) -> int:
        text = annotation(held.pod, RESTARTS)
        return int(text) if text.isdigit() else 0

    async def _renewed(self, held: _Held, restarts: int, request: str = "") -> _Held:
        """Put a fresh pod in a server's place; made first, so that there is never none."""
        former = [*self._of(held.site, held.spec.name)]
        if restarts == self._restarts(held):  # sessions of others go on
            former = [held.pod]
        try:
            made = await self._make(held.site, held.spec, MAIN, restarts, request)
        except Rejected:  # there may be room for one only
            await self._remove(held.site, former)
            return await self._make(held.site, held.spec, MAIN, restarts, request)
        await self._remove(held.site, former)
        return made

    async def _remove(self, site: _Site, found: list[Pod]) -> None:
        for pod in found:
            if not pod.get("gone"):
                await site.cluster.delete(pod["metadata"]["name"], pod["metadata"]["uid"], self._settings.grace)
            site.pods.forget(pod)

    # -- looking ----------------------------------------------------------------------------------------------------

    async def status(self, name: str, wait: float = 0.0) -> Server:
        """Return a server as it is; nobody is asked for it."""
        await self._adopted()
        until = time.monotonic() + wait
        while True:
            held = self._known(name)
            found, left = self._seen(held), until - time.monotonic()
            if found.state != "starting" or left <= 0:
                return found
            await held.site.pods.change(min(left, _TICK))

    async def listed(self) -> tuple[Server, ...]:
        """Return all servers, by name."""
        await self._adopted()
        return tuple(self._seen(held) for held in sorted(self._all(), key=lambda held: held.spec.name))

    def _seen(self, held: _Held) -> Server:
        found = server_of(held.spec, held.pod, self._clock(), self._values(held.spec))
        sessions = self._sessions.get(held.spec.name)
        between = found.state == "starting" or (found.state == "stopped" and has_ended(held.pod))
        if sessions is not None and sessions.first_taken and between:
            return replace(found, state="running", detail="", remedy="")  # between two sessions its pod is replaced
        return found

    def _values(self, spec: ServerSpec) -> list[str]:
        """Return what must not be read in a log, as far as it is known here."""
        found = [*spec.env.values()]
        for one in spec.secrets:
            try:
                found += [self._hide(one)] if self._hide is not None else []
            except ServersError:
                continue
        return found

    def _of(self, site: _Site, name: str) -> list[Pod]:
        return [pod for pod in site.pods if label(pod, NAME) == name]

    def _all(self) -> list[_Held]:
        """Return the newest pod of every server."""
        found: dict[str, _Held] = {}
        for site in self._sites.values():
            mains = [pod for pod in site.pods if label(pod, ROLE) == MAIN]
            for pod in sorted(mains, key=lambda pod: float(annotation(pod, CREATED) or 0.0)):
                spec = spec_of(pod)
                if spec is not None and not (pod.get("gone") and spec.name in found):
                    found[spec.name] = _Held(site, pod, spec)
        return list(found.values())

    def _find(self, name: str) -> _Held | None:
        return next((held for held in self._all() if held.spec.name == name), None)

    def _known(self, name: str) -> _Held:
        held = self._find(name)
        if held is None:
            raise UnknownServer.named(name)
        return held

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

    # -- sessions ---------------------------------------------------------------------------------------------------

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
                yield self._endpoint(held)
                return
            async with self._session(held) as pipe:
                yield pipe

    def _endpoint(self, held: _Held) -> Endpoint:
        where = (held.pod.get("status") or {}).get("podIP", "")
        host = f"[{where}]" if ":" in where else where
        return Endpoint(
            f"http://{host}:{held.spec.port}{held.spec.path}", "sse" if held.spec.transport == "sse" else "http"
        )

    @asynccontextmanager
    async def _session(self, held: _Held) -> AsyncIterator[AttachedPipe]:
        name = held.spec.name
        sessions = self._sessions.setdefault(name, _Sessions())
        if sessions.open >= self._settings.most_sessions:
            raise TooMany(
                f"{name!r} has {sessions.open} sessions, as many as it may have",
                "end one, or raise MYSTIC_SERVERS_MAX_SESSIONS",
            )
        first = not sessions.first_taken
        opened: _Opened | None = None
        sessions.open += 1
        sessions.first_taken = True
        try:
            opened = await self._process(held, first)
            opened.pipe = await self._attached(opened, held.spec)
            yield opened.pipe
        finally:
            self._part(name, sessions, first, opened)

    async def _process(self, held: _Held, first: bool) -> _Opened:
        """Return a pod of a session's own: the server's, when nobody has it, else a new one."""
        if first and await self._claimed(held):
            return _Opened(held.site, held.pod, True)
        made = await self._make(held.site, held.spec, SESSION)
        return _Opened(made.site, made.pod, False)

    async def _claimed(self, held: _Held) -> bool:
        """Take a server's pod for a session; of two processes that want it, the cluster gives it to one."""
        meta = held.pod["metadata"]
        claim = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": meta["name"], "uid": meta["uid"], "annotations": {TAKEN: self._claimant}},
        }
        try:
            held.site.pods.put(await held.site.cluster.apply(claim, self._claimant))
        except Conflict:
            return False
        return True

    async def _attached(self, opened: _Opened, spec: ServerSpec) -> AttachedPipe:
        """Return the pipe of a session's process, once that runs."""
        name, until = opened.pod["metadata"]["name"], time.monotonic() + spec.timeout
        while True:
            pod = opened.site.pods.latest(name)
            if pod is not None and is_up(pod):
                return await attach(opened.site.cluster, name)
            state, detail, remedy = judge(spec, pod, self._clock()) if pod else ("stopped", "it was stopped", "")
            if state in ("failed", "stopped") or time.monotonic() > until:
                raise NotRunning(f"a process of {spec.name!r} could not be begun: {detail}", remedy)
            await opened.site.pods.change(_TICK)

    def _part(self, name: str, sessions: _Sessions, first: bool, opened: _Opened | None) -> None:
        """End a session's process behind; its place is free once it is gone."""

        async def farewell() -> None:
            try:
                if opened is not None:
                    await self._end(name, sessions, opened)
            except ServersError as error:
                _log.warning("a session of server %r could not be ended: %s", name, error)
            finally:
                sessions.open -= 1
                if first:
                    sessions.first_taken = False

        task = asyncio.create_task(farewell(), name=f"end a session of {name}")
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)

    async def _end(self, name: str, sessions: _Sessions, opened: _Opened) -> None:
        """End a session's process; one of the server itself that has failed stays, for people to see why."""
        ended = opened.pipe is not None and opened.pipe.ended
        if opened.pipe is not None:
            await opened.pipe.close()
        if not opened.first:
            pod = opened.site.pods.latest(opened.pod["metadata"]["name"])
            await self._remove(opened.site, [pod] if pod else [])
            return
        if ended:
            await self._settled(opened)
        async with self._admission:
            held = self._find(name)
            same = held is not None and held.pod["metadata"]["uid"] == opened.pod["metadata"]["uid"]
            if held is None or not same or self._sessions.get(name) is not sessions:
                return  # it was taken away, or begun anew, meanwhile
            if has_ended(held.pod) and self._judged(held) == "failed":
                _log.warning("server %r failed in a session: %s", name, self._seen(held).detail)
                return
            fresh = await self._renewed(held, self._restarts(held))
        until = time.monotonic() + held.spec.timeout
        while not self._closing and time.monotonic() < until:
            pod = fresh.site.pods.latest(fresh.pod["metadata"]["name"])
            if pod is None or judge(held.spec, pod, self._clock())[0] != "starting":
                return
            await fresh.site.pods.change(_TICK)

    def _judged(self, held: _Held) -> str:
        return judge(held.spec, held.pod, self._clock())[0]

    async def _settled(self, opened: _Opened) -> None:
        until = time.monotonic() + _LAST_STATE
        while not self._closing and time.monotonic() < until:
            pod = opened.site.pods.latest(opened.pod["metadata"]["name"])
            if pod is None or has_ended(pod):
                return
            await opened.site.pods.change(_TICK)

    # -- taking over ------------------------------------------------------------------------------------------------

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

    async def _adopt_site(self, site: _Site) -> None:
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
        if self._waking is not None:
            self._waking.cancel()
            await asyncio.wait([self._waking])
        if self._farewells:
            await asyncio.wait(tuple(self._farewells), timeout=_LAST_STATE + 5.0)
        for site in self._sites.values():
            await site.pods.close()
            site.cluster.close()
