"""What a pod's server wrote: read, and followed."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
from collections.abc import AsyncIterator, Iterable
from typing import Any, Literal

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from mystic_collector.servers.errors import Rejected
from mystic_collector.servers.lines import Lines
from mystic_collector.servers.secrets import hidden
from mystic_collector.servers.server import LogLine, plain
from mystic_collector.servers.spec import ServerSpec
from mystic_collector.servers.told import seconds
from mystic_collector.sidecar.cluster import Cluster
from mystic_collector.sidecar.pod import is_protocol
from mystic_collector.sidecar.refusals import Gone

_MOST = 5000


def line_of(data: bytes, spec: ServerSpec, values: Iterable[str]) -> LogLine | None:
    """Return one line of ``time text``; None for protocol and for what is no line.

    The cluster keeps both outputs as one. Of a stdio server what is not protocol is log; of one that listens it is all.
    """
    when, _, text = data.decode("utf-8", "replace").rstrip("\r\n").partition(" ")
    moment = seconds(when)
    stdio = spec.transport == "stdio"
    if not moment or (stdio and is_protocol(text)):
        return None
    stream: Literal["stdout", "stderr"] = "stderr" if stdio else "stdout"
    return LogLine(moment, stream, plain(hidden(text, values)))


async def read(
    cluster: Cluster, pod: str, spec: ServerSpec, values: Iterable[str], tail: int, since: float
) -> list[LogLine]:
    """Return the newest lines, oldest first; none of a pod that has not begun."""
    if not tail:
        return []
    kept = tuple(values)

    def question() -> list[LogLine]:
        newest = _MOST if spec.transport == "stdio" else tail
        found: Any = cluster.log(pod, newest)
        try:
            lines = [line_of(one, spec, kept) for one in found.data.split(b"\n")]
        finally:
            found.release_conn()
        return [line for line in lines if line is not None and line.time > since]

    try:
        return (await cluster.ask(question))[-tail:]
    except (Gone, Rejected):
        return []  # "is waiting to start": it has written nothing


async def follow(
    cluster: Cluster, pod: str, spec: ServerSpec, values: Iterable[str], tail: int, since: float
) -> AsyncIterator[LogLine]:
    """Yield lines until the pod's process ends; a thread reads, and ends with this."""
    told, kept, over = Lines(1), tuple(values), threading.Event()
    opened: list[Any] = []

    def listen() -> None:
        try:
            opened.append(cluster.log(pod, _MOST if tail else 0, follow=True))
            rest = b""
            for piece in opened[0].stream(None) if not over.is_set() else ():
                *lines, rest = (rest + piece).split(b"\n")
                for one in lines:
                    if (line := line_of(one, spec, kept)) is not None and line.time > since:
                        told.tell(line)
        except (ApiException, HTTPError, OSError, ValueError, AttributeError):
            pass  # the pod or the cluster has gone, or the reader closed the connection under us
        finally:
            for one in opened:
                one.close()
            told.end()

    backlog = (await read(cluster, pod, spec, kept, tail, since))[-tail:] if tail else []
    if backlog:
        since = math.nextafter(backlog[0].time, 0.0)
    thread = threading.Thread(target=listen, name="mystic-pod-logs", daemon=True)
    thread.start()
    try:
        async for line in told:
            yield line
    finally:
        over.set()
        for one in opened:
            with contextlib.suppress(OSError, ValueError, RuntimeError, AttributeError):
                one.shutdown()
        await asyncio.shield(asyncio.to_thread(thread.join, 5))
