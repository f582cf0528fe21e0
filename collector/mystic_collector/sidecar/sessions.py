"""Sessions of stdio servers: each has a pod of its own, which ends with it."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mystic_collector.servers.errors import NotRunning
from mystic_collector.servers.places import Place
from mystic_collector.servers.spec import ServerSpec
from mystic_collector.servers.verdict import Verdict
from mystic_collector.sidecar.attach import AttachedPipe, attach
from mystic_collector.sidecar.cluster import Pod
from mystic_collector.sidecar.fleet import Fleet, Held, Site
from mystic_collector.sidecar.pod import SESSION, TAKEN
from mystic_collector.sidecar.reading import has_ended, is_up, judge
from mystic_collector.sidecar.refusals import Conflict

_log = logging.getLogger("mystic_collector.sidecar")
LAST_STATE = 5.0
"""Seconds the cluster has to say how a process ended, after its connection has."""

TICK = 1.0
"""Seconds after which what depends on the time is looked at again."""


@dataclass(slots=True)
class _Opened:
    """One session's process."""

    site: Site
    pod: Pod
    first: bool
    pipe: AttachedPipe | None = None


class PodSessions(Fleet):
    """The fleet, and the sessions with its servers."""

    @asynccontextmanager
    async def _session(self, held: Held) -> AsyncIterator[AttachedPipe]:
        place = self._places.take(held.spec.name)
        opened: _Opened | None = None
        try:
            opened = await self._process(held, place.first)
            opened.pipe = await self._attached(opened, held.spec)
            yield opened.pipe
        finally:
            self._places.leave(place, functools.partial(self._end, place, opened))

    async def _process(self, held: Held, first: bool) -> _Opened:
        """Return a pod of a session's own: the server's, when nobody has it, else a new one."""
        if first and await self._claimed(held):
            return _Opened(held.site, held.pod, True)
        made = await self._make(held.site, held.spec, SESSION)
        return _Opened(made.site, made.pod, False)

    async def _claimed(self, held: Held) -> bool:
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
            found = judge(spec, pod, self._clock()) if pod else Verdict("stopped", "it was stopped")
            if found.state in ("failed", "stopped") or time.monotonic() > until:
                raise NotRunning(f"a process of {spec.name!r} could not be begun: {found.detail}", found.remedy)
            await opened.site.pods.change(TICK)

    async def _end(self, place: Place, opened: _Opened | None) -> None:
        """End a session's process; one of the server itself that has failed stays, for people to see why."""
        if opened is None:
            return
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
            held = self._find(place.server)
            same = held is not None and held.pod["metadata"]["uid"] == opened.pod["metadata"]["uid"]
            if held is None or not same or not self._places.stands(place):
                return  # it was taken away, or begun anew, meanwhile
            if has_ended(held.pod) and self._judged(held) == "failed":
                _log.warning("server %r failed in a session: %s", place.server, self._seen(held).detail)
                return
            fresh = await self._renewed(held, self._restarts(held))
        until = time.monotonic() + held.spec.timeout
        while not self._closing and time.monotonic() < until:
            pod = fresh.site.pods.latest(fresh.pod["metadata"]["name"])
            if pod is None or judge(held.spec, pod, self._clock()).state != "starting":
                return
            await fresh.site.pods.change(TICK)

    async def _settled(self, opened: _Opened) -> None:
        until = time.monotonic() + LAST_STATE
        while not self._closing and time.monotonic() < until:
            pod = opened.site.pods.latest(opened.pod["metadata"]["name"])
            if pod is None or has_ended(pod):
                return
            await opened.site.pods.change(TICK)
