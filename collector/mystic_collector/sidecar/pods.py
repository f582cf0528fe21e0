"""What the cluster has of ours, as a watch tells it: read without asking."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from mystic_collector.servers.errors import EngineUnavailable, ServersError
from mystic_collector.sidecar.cluster import Cluster, Pod
from mystic_collector.sidecar.pod import MAIN, ROLE, label
from mystic_collector.sidecar.refusals import Gone, plainly, refused

_log = logging.getLogger("mystic_collector.sidecar")
STALE = 10.0
"""Seconds without a watch after which what was seen last is no answer any more."""

_FIRST = 10.0
_LONGEST = 5.0
_ERRORS = (ApiException, HTTPError, ConfigException, OSError, ServersError, ValueError, AttributeError)


class Pods:
    """Our pods of one cluster. Everything but the watching thread happens on the event loop.

    A pod that went without our doing stays, marked ``gone``, until :meth:`forget`: so it can be told, and begun anew.

    Args:
        cluster: to be watched.
        selector: of labels.
        stale: seconds; see :data:`STALE`.
        clock: monotonic seconds.
    """

    def __init__(
        self, cluster: Cluster, selector: str, stale: float = STALE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cluster = cluster
        self._selector = selector
        self._stale = stale
        self._clock = clock
        self._pods: dict[str, Pod] = {}
        self._ours_to_end: set[str] = set()
        self._since: float | None = None
        self._error: ServersError | None = None
        self._synced = False
        self._told = asyncio.Event()
        self._changed = asyncio.Event()
        self._over = threading.Event()
        self._response: Any = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def ready(self) -> None:
        """Wait until the cluster has been read once.

        Raises:
            ServersError: why it cannot be read, now or for too long.
        """
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._run, name="mystic-pods", daemon=True)
            self._thread.start()
        if not self._synced:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), _FIRST)
            if not self._synced:
                raise self._error or EngineUnavailable("the Kubernetes API does not answer in time", "ask again")
        if self._error is not None and self._since is not None and self._clock() - self._since > self._stale:
            raise self._error

    def __iter__(self) -> Iterator[Pod]:
        """All pods that are there and not on their way out by our doing."""
        return iter([one for one in self._pods.values() if one["metadata"]["uid"] not in self._ours_to_end])

    def latest(self, name: str) -> Pod | None:
        """Return one pod as it was seen last."""
        found = self._pods.get(name)
        return None if found is None or found["metadata"]["uid"] in self._ours_to_end else found

    def put(self, pod: Pod) -> None:
        """Take in a pod that the API server has just answered with."""
        name, known = pod["metadata"]["name"], self._pods.get(pod["metadata"]["name"])
        if known is None or _version(pod) >= _version(known):
            self._pods[name] = pod
            self._tell()

    def forget(self, pod: Pod) -> None:
        """A pod is deleted by us: it is seen no more."""
        self._ours_to_end.add(pod["metadata"]["uid"])
        if pod.get("gone"):
            self._remove(pod)
        self._tell()

    async def change(self, patience: float) -> None:
        """Return when something has changed, or after ``patience`` seconds."""
        changed = self._changed
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(changed.wait(), patience)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    # -- what the thread tells, on the loop -------------------------------------------------------------------------

    def _replace(self, items: Iterable[Pod], version: str) -> None:
        there = {one["metadata"]["name"]: one for one in items}
        if not self._synced:  # what a former process was ending is ended
            self._ours_to_end |= {
                one["metadata"]["uid"] for one in there.values() if one["metadata"].get("deletionTimestamp")
            }
        for pod in there.values():
            self.put(pod)
        for name, pod in tuple(self._pods.items()):
            if name not in there and not pod.get("gone") and _version(pod) <= int(version or 0):
                self._remove(pod)
        self._synced, self._error, self._since = True, None, None
        self._told.set()
        self._tell()

    def _take(self, kind: str, pod: Pod) -> None:
        if kind == "DELETED":
            self._remove(pod)
            self._tell()
        else:
            self.put(pod)

    def _remove(self, pod: Pod) -> None:
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        if uid in self._ours_to_end or label(pod, ROLE) != MAIN:
            self._ours_to_end.discard(uid)
            self._pods.pop(name, None)
        else:
            self._pods[name] = {**pod, "gone": True}

    def _failed(self, error: ServersError) -> None:
        if self._error is None:
            _log.warning("pods are not seen now: %s", error)
        self._error = error
        if self._since is None:
            self._since = self._clock()
        self._told.set()
        self._tell()

    def _well(self) -> None:
        self._error = self._since = None

    # -- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        version, failures = "", 0
        while not self._over.is_set():
            try:
                if not version:
                    items, version = self._cluster.read(self._selector)
                    self._post(self._replace, items, version)
                version = self._watched(version)
                failures = 0
            except _ERRORS as error:
                if self._over.is_set():
                    return
                told = plainly(error)
                version = "" if isinstance(told, Gone) or failures else version
                if not isinstance(told, Gone):
                    self._post(self._failed, told)
                failures = min(failures + 1, 8)
                wait = min(_LONGEST, 0.05 * 2**failures) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
                self._over.wait(wait)

    def _watched(self, version: str) -> str:
        """Watch once, and return the version from which to go on."""
        self._response = response = self._cluster.watch(self._selector, version)
        try:
            self._post(self._well)
            rest = b""
            for piece in response.stream(None):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    if line.strip():
                        version = self._event(orjson.loads(line)) or version
                if self._over.is_set():
                    break
        finally:
            self._response = None
            response.close()
            response.release_conn()
        return version

    def _event(self, event: dict[str, Any]) -> str:
        kind, found = event["type"], event["object"]
        if kind == "ERROR":
            raise refused(int(found.get("code", 0)), str(found.get("message", "")))
        if kind != "BOOKMARK":
            self._post(self._take, kind, found)
        return str(found["metadata"].get("resourceVersion", ""))

    def _post(self, call: Callable[..., None], *given: Any) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody looks any more
                self._loop.call_soon_threadsafe(call, *given)

    async def close(self) -> None:
        """Watch no more."""
        self._over.set()
        response = self._response
        if response is not None:
            with contextlib.suppress(OSError, ValueError, RuntimeError, AttributeError):
                response.shutdown()  # wakes the thread, which closes it
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, 10)


def _version(pod: Pod) -> int:
    """Return how new a pod is; versions grow, within one cluster."""
    text = str(pod["metadata"].get("resourceVersion", ""))
    return int(text) if text.isdigit() else 0
