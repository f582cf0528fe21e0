"""What a container wrote: read, and followed."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any, Literal

from docker import DockerClient
from docker.errors import DockerException

from mystic_collector.servers.docker.engine import Engine
from mystic_collector.servers.lines import Lines
from mystic_collector.servers.secrets import hidden
from mystic_collector.servers.server import LogLine, plain
from mystic_collector.servers.spec import ServerSpec
from mystic_collector.servers.told import seconds

Stream = Literal["stdout", "stderr"]


def streams_of(spec: ServerSpec) -> tuple[Stream, ...]:
    """Return what of a server's output is log: of a stdio server, standard output is protocol."""
    return ("stderr",) if spec.transport == "stdio" else ("stdout", "stderr")


def lines(data: bytes, stream: Stream, values: Iterable[str]) -> list[LogLine]:
    """Return the engine's ``time text`` lines; ``values`` are replaced wherever they occur."""
    found = []
    for line in data.split(b"\n"):
        when, _, text = line.decode("utf-8", "replace").partition(" ")
        if when:
            found.append(LogLine(seconds(when), stream, plain(hidden(text.rstrip("\r"), values))))
    return found


async def read(
    engine: Engine, identity: str, spec: ServerSpec, values: Iterable[str], tail: int, since: float
) -> list[LogLine]:
    """Return the newest lines, oldest first."""
    if not tail:
        return []
    kept, wanted = tuple(values), streams_of(spec)
    # The engine counts lines of both streams: where one is not log, all that it keeps are looked through, 4 MB at most.
    newest: int | Literal["all"] = tail if len(wanted) > 1 else "all"

    def question(client: DockerClient) -> list[LogLine]:
        found: list[LogLine] = []
        for stream in wanted:
            data: Any = client.api.logs(identity, timestamps=True, tail=newest, **_asked(stream, since))
            found += lines(data, stream, kept)
        return found

    found = sorted(await engine.ask(question), key=lambda line: line.time)
    # The engine's own "since" includes the line at that very moment.
    return [line for line in found if line.time > since][-tail:]


async def follow(
    engine: Engine, identity: str, spec: ServerSpec, values: Iterable[str], tail: int, since: float
) -> AsyncIterator[LogLine]:
    """Yield lines until the container ends; threads read, and end with this."""
    for line in await read(engine, identity, spec, values, tail, since):
        since = line.time
        yield line
    since = since or time.time()
    wanted = streams_of(spec)
    told, kept = Lines(len(wanted)), tuple(values)
    opened: list[Any] = []
    over = threading.Event()

    def listen(stream: Stream) -> None:
        try:
            asked = _asked(stream, since)
            source = engine.client().api.logs(identity, timestamps=True, stream=True, follow=True, **asked)
            opened.append(source)
            rest = b""
            for piece in source if not over.is_set() else ():
                *whole, rest = (rest + piece).split(b"\n")
                for line in lines(b"\n".join(whole), stream, kept):
                    told.tell(line)
        except (DockerException, OSError, ValueError, AttributeError):
            pass  # the container or the engine has gone, or the reader closed the connection under us
        finally:
            told.end()

    threads = [threading.Thread(target=listen, args=(one,), name="mystic-logs", daemon=True) for one in wanted]
    for thread in threads:
        thread.start()
    try:
        async for fresh in told:
            if fresh.time > since:
                yield fresh
    finally:
        over.set()
        for source in opened:
            with contextlib.suppress(DockerException, OSError, AttributeError):
                source.close()
        await asyncio.shield(asyncio.to_thread(_join, threads))


def _join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(5)


def _asked(stream: Stream, since: float) -> dict[str, Any]:
    asked: dict[str, Any] = {"stdout": stream == "stdout", "stderr": stream == "stderr"}
    if since > 0:
        asked["since"] = since
    return asked
