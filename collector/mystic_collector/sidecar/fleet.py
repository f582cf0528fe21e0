"""Servers and their pods, over all clusters: found, made, replaced and removed."""

from __future__ import annotations

import asyncio
import secrets as randomness
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from mystic_collector.servers.errors import Rejected, ServersError, UnknownServer
from mystic_collector.servers.launch import RUNNER_IMAGES, image_of
from mystic_collector.servers.places import Places
from mystic_collector.servers.secrets import Read
from mystic_collector.servers.server import Server
from mystic_collector.servers.spec import ServerSpec
from mystic_collector.sidecar.cluster import Cluster, Pod
from mystic_collector.sidecar.pod import (
    CREATED,
    MAIN,
    NAME,
    OWNER,
    RESTARTS,
    ROLE,
    Making,
    annotation,
    label,
    pod_of,
    spec_of,
)
from mystic_collector.sidecar.pods import Pods
from mystic_collector.sidecar.reading import has_ended, judge, server_of
from mystic_collector.sidecar.settings import SidecarSettings


@dataclass(slots=True)
class Site:
    """One cluster and what is seen of it."""

    cluster: Cluster
    pods: Pods
    adopted: bool = False


@dataclass(slots=True)
class Held:
    """A server's pod and where it is."""

    site: Site
    pod: Pod
    spec: ServerSpec


class Fleet:
    """What of ours is in the clusters; see :class:`~mystic_collector.sidecar.servers.KubernetesServers`."""

    def __init__(
        self,
        settings: SidecarSettings,
        clusters: Mapping[str, Cluster] | None,
        hide: Read | None,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._runners = {**RUNNER_IMAGES, **settings.images}
        if clusters is None:
            clusters = {context: Cluster(settings.namespace, context) for context in ("", *settings.contexts)}
        selector = f"{OWNER}={settings.prefix}"
        self._sites = {context: Site(one, Pods(one, selector)) for context, one in clusters.items()}
        self._hide = hide
        self._clock = clock
        self._claimant = f"mystic-{randomness.token_hex(8)}"
        self._admission = asyncio.Lock()
        self._places = Places(settings.most_sessions)
        self._closing = False

    def _site(self, spec: ServerSpec) -> Site:
        context = spec.placement.context
        if context not in self._sites:
            known = ", ".join(filter(None, self._sites)) or "none"
            raise Rejected(
                f"no cluster {context!r} is known here", f"name one of MCP_SIDECAR_CONTEXTS ({known}), or leave it out"
            )
        return self._sites[context]

    async def _make(self, site: Site, spec: ServerSpec, role: str, restarts: int = 0, request: str = "") -> Held:
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
        return Held(site, pod, spec)

    def _restarts(self, held: Held) -> int:
        text = annotation(held.pod, RESTARTS)
        return int(text) if text.isdigit() else 0

    async def _renewed(self, held: Held, restarts: int, request: str = "") -> Held:
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

    async def _remove(self, site: Site, found: list[Pod]) -> None:
        for pod in found:
            if not pod.get("gone"):
                await site.cluster.delete(pod["metadata"]["name"], pod["metadata"]["uid"], self._settings.grace)
            site.pods.forget(pod)

    def _seen(self, held: Held) -> Server:
        found = server_of(held.spec, held.pod, self._clock(), self._values(held.spec))
        between = found.state == "starting" or (found.state == "stopped" and has_ended(held.pod))
        if between and self._places.has_first(held.spec.name):
            return replace(
                found, state="running", detail="", remedy="", cause=""
            )  # between two sessions its pod is replaced
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

    def _of(self, site: Site, name: str) -> list[Pod]:
        return [pod for pod in site.pods if label(pod, NAME) == name]

    def _all(self) -> list[Held]:
        """Return the newest pod of every server."""
        found: dict[str, Held] = {}
        for site in self._sites.values():
            mains = [pod for pod in site.pods if label(pod, ROLE) == MAIN]
            for pod in sorted(mains, key=lambda pod: float(annotation(pod, CREATED) or 0.0)):
                spec = spec_of(pod)
                if spec is not None and not (pod.get("gone") and spec.name in found):
                    found[spec.name] = Held(site, pod, spec)
        return list(found.values())

    def _find(self, name: str) -> Held | None:
        return next((held for held in self._all() if held.spec.name == name), None)

    def _known(self, name: str) -> Held:
        held = self._find(name)
        if held is None:
            raise UnknownServer.named(name)
        return held

    def _judged(self, held: Held) -> str:
        return judge(held.spec, held.pod, self._clock()).state
