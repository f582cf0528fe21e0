"""One Docker engine, asked from an event loop; its errors end here."""

from __future__ import annotations

import functools
import os
import socket
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import anyio
import docker
import requests
from anyio import to_thread
from docker.errors import APIError, DockerException

from mystic_collector.servers.errors import EngineUnavailable, Forbidden, NameTaken, Rejected, ServersError

T = TypeVar("T")
PATIENCE = 30.0
"""Seconds for one answer of the engine; streams have their own bounds."""

_HERE = "unix:///var/run/docker.sock"
_KNOCK = 2.0
_MOST_ASKED = 16
_START = "start the Docker engine, or set DOCKER_HOST to one that runs"


class Engine:
    """The engine that DOCKER_HOST names, else the one of this machine; looked for when it is first asked.

    Args:
        connect: makes the SDK's client; it may raise.
        host: where the engine is; what DOCKER_HOST says, else this machine's socket.
    """

    def __init__(self, connect: Callable[[], docker.DockerClient] | None = None, host: str | None = None) -> None:
        self._connect = connect or functools.partial(docker.from_env, timeout=int(PATIENCE))
        self._host = host or os.environ.get("DOCKER_HOST", "").strip() or _HERE
        self._client: docker.DockerClient | None = None
        self._guard = threading.Lock()
        self._limiter: anyio.CapacityLimiter | None = None

    def client(self) -> docker.DockerClient:
        """Return the SDK's client; for threads."""
        with self._guard:
            if self._client is None:
                self._client = self._connect()
            return self._client

    async def ask(self, question: Callable[[docker.DockerClient], T], abandon: bool = False) -> T:
        """Return what ``question`` finds, on a thread.

        Args:
            abandon: whether a caller that is cancelled leaves at once. What makes something is always waited for:
                it must be known.

        Raises:
            ServersError: in plain language, for whatever goes wrong.
        """
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(_MOST_ASKED)

        def asked() -> T:
            return self.now(question)

        return await to_thread.run_sync(asked, limiter=self._limiter, abandon_on_cancel=abandon)

    def now(self, question: Callable[[docker.DockerClient], T]) -> T:
        """Return what ``question`` finds, on this thread.

        Raises:
            ServersError: in plain language, for whatever goes wrong.
        """
        try:
            _knock(self._host)
            return question(self.client())
        except (DockerException, requests.RequestException, OSError) as error:
            raise plainly(error) from error

    def close(self) -> None:
        """Let go of its connections."""
        with self._guard:
            if self._client is not None:
                self._client.close()
                self._client = None


def _knock(host: str) -> None:
    """Raise the plain OSError of a socket that nobody listens on: the SDK wraps it thrice, and leaks a descriptor."""
    if host.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(_KNOCK)
            door.connect(host.removeprefix("unix://"))


def gone(error: BaseException) -> bool:
    """True when an error of ours came from the engine not having the thing, or no longer for long."""
    cause = error.__cause__
    if not isinstance(cause, APIError) or cause.response is None:
        return False
    going = "marked for removal" in str(cause.explanation) or "is already in progress" in str(cause.explanation)
    return cause.response.status_code == 404 or going


def plainly(error: BaseException) -> ServersError:
    """Return an error of the SDK in the words of people."""
    if isinstance(error, ServersError):
        return error
    text = explained(error)
    status = error.response.status_code if isinstance(error, APIError) and error.response is not None else 0
    if "permission denied" in text.lower() and not status:
        return Forbidden(
            "no right to use the Docker engine's socket",
            "add this user to the group that owns the socket, or set DOCKER_HOST to an engine that lets it in",
        )
    if status == 403:
        return Forbidden(
            f"the Docker engine, or the proxy before it, does not allow {_asked(error)}",
            "let the proxy pass it, or ask who runs the engine",
        )
    if status == 409 and "name" in text.lower():
        return NameTaken(f"a container of that name is there already: {text}", "remove it, or choose another name")
    if not status:
        return EngineUnavailable(f"no Docker engine answers ({text})", _START)
    return Rejected(f"the Docker engine refused: {text}", _remedy(text))


def _asked(error: BaseException) -> str:
    """Return what was asked for, such as 'POST /v1.41/containers/create'."""
    request = error.response.request if isinstance(error, APIError) and error.response is not None else None
    return f"{request.method} {request.path_url.partition('?')[0][:200]}" if request is not None else "this"


def explained(error: BaseException) -> str:
    """Return the one useful sentence of an error, bounded."""
    told: Any = error.explanation if isinstance(error, APIError) and error.explanation else None
    if told is None:
        told = _innermost(error)
    return " ".join(str(told).split())[:400]


def _innermost(error: BaseException) -> str:
    """Return what lies at the bottom of requests' layers of wrapping: 'No such file or directory'."""
    seen = error
    while True:
        below = seen.__cause__ or seen.__context__
        if below is None or (isinstance(seen, OSError) and seen.strerror):
            break
        seen = below
    if isinstance(seen, OSError) and seen.strerror:
        return seen.strerror
    return "it does not answer in time" if isinstance(error, requests.Timeout) else str(seen) or type(seen).__name__


def _remedy(text: str) -> str:
    lowered = text.lower()
    if "executable file not found" in lowered or "no such file or directory" in lowered:
        return "name a program that the image has, or an image that has the program"
    if "no command specified" in lowered:
        return "give a command: the image has none of its own"
    if "memory" in lowered or "cpu" in lowered:
        return "choose other limits"
    if "address pool" in lowered or "subnet" in lowered:
        return "remove networks that nobody uses ('docker network prune')"
    return "see the engine's log"
