"""For code that names Mystic itself: ``mystic_aware`` and ``mystic_client``. Nothing needs them.

The decorator marks a function to be observed, wherever it stands; what is done to it is decided by hijacks, as for any
other function. The client keeps values at the collector. Neither raises, and neither waits for longer than PATIENCE.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
import warnings
from collections.abc import Callable
from hashlib import sha256
from typing import Any, TypeVar, overload
from urllib.parse import quote

from mystic_agent import aware
from mystic_agent.contract.codec import Unencodable, decode, encode
from mystic_agent.guard import FAULTS
from mystic_agent.link.connection import Connection
from mystic_agent.link.endpoint import Endpoint
from mystic_agent.settings import Settings, load

PATIENCE = 2.0
"""Seconds that one request may take."""

PAUSE = 10.0
"""Seconds after a failure in which the collector is not asked again."""

LONGEST_KEY = 500
_MOST_BYTES = 4 * 2**20
_log = logging.getLogger("mystic")
_F = TypeVar("_F")


@overload
def mystic_aware(function: _F, /) -> _F: ...
@overload
def mystic_aware(function: None = None, /, **options: Any) -> Callable[[_F], _F]: ...
def mystic_aware(function: Any = None, /, **options: Any) -> Any:
    """Mark a function to be observed, and return it as it is; also with parentheses, and around other decorators.

    Args:
        function: a function or method, synchronous or not.
        options: of other versions; they are ignored with a warning, because hijacks say what is done to a function.
    """
    if options:
        names = ", ".join(sorted(options))
        text = f"mystic_aware ignores {names}; use a hijack: mystic hijack FUNCTION --help"
        warnings.warn(text, UserWarning, stacklevel=2)
    if function is None:
        return mystic_aware
    plain = getattr(function, "__func__", function)  # a static or class method holds its function
    module, qualname = getattr(plain, "__module__", None), getattr(plain, "__qualname__", None)
    if isinstance(module, str) and isinstance(qualname, str):
        aware.add(module, qualname)
    return function


class MysticClient:
    """Values kept at the collector, under a function's name and a key; a failure is as if nothing were kept.

    Args:
        settings: where the collector is; default: the environment's.
        clock: seconds, monotonic.

    Attributes:
        enabled: False makes every method answer at once, and ask nobody.
    """

    def __init__(self, settings: Settings | None = None, clock: Callable[[], float] | None = None) -> None:
        import time

        self.enabled = True
        self._settings = settings
        self._clock = clock or time.monotonic
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._pid = os.getpid()
        self._not_before = 0.0

    async def get_cache(self, function: str, key: str) -> Any:
        """Return what is kept, or None."""
        return await asyncio.to_thread(self.get_cache_sync, function, key) if self.enabled else None

    async def set_cache(self, function: str, key: str, value: Any, ttl: float | str | None = None) -> bool:
        """Keep a value, until there is no room or for ``ttl`` (seconds, or a duration such as ``30m``).

        Returns:
            False when it could not be kept.
        """
        return await asyncio.to_thread(self.set_cache_sync, function, key, value, ttl) if self.enabled else False

    def get_cache_sync(self, function: str, key: str) -> Any:
        """Do what :meth:`get_cache` does, in the calling thread."""
        status, body = self._ask(b"GET", _path(function, key))
        if status != 200:
            return None
        try:
            return decode(json.dumps(json.loads(body)["value"]).encode())
        except (ValueError, KeyError, TypeError) as error:  # Invalid is a ValueError
            _log.debug("a cached value cannot be read: %s", type(error).__name__)
            return None

    def set_cache_sync(self, function: str, key: str, value: Any, ttl: float | str | None = None) -> bool:
        """Do what :meth:`set_cache` does, in the calling thread."""
        if not self.enabled:
            return False
        try:
            body: dict[str, Any] = {"value": json.loads(encode(value))}
        except Unencodable as why:
            _log.debug("a value cannot be kept: %s", why.reason)
            return False
        if ttl is not None:
            body["ttl"] = ttl
        return self._ask(b"PUT", _path(function, key), json.dumps(body).encode())[0] == 200

    async def check_hijack(self, function: str) -> dict[str, Any] | None:
        """Return the hijacks of a function as the collector lists them, or None when there are none."""
        if not self.enabled:
            return None
        status, body = await asyncio.to_thread(self._ask, b"GET", f"/api/hijacked/{quote(function, safe=':')}")
        found = json.loads(body) if status == 200 else None
        return found if isinstance(found, dict) else None

    async def report_call(self, function: str, duration: float, error: BaseException | None = None) -> None:
        """Do nothing: the agent counts calls itself."""

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()

    def _ask(self, method: bytes, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Return status and body of a reply; (0, empty) when there is none."""
        if not self.enabled:
            return 0, b""
        if self._pid != os.getpid():  # a forked child: nobody will release the parent's lock here
            self._lock, self._connection, self._pid = threading.Lock(), None, os.getpid()
        try:
            with self._lock:
                if self._clock() < self._not_before:
                    return 0, b""
                try:
                    connection = self._connected()
                    headers = (("Content-Type", "application/json"), *connection.destination.headers)
                    head, reply = connection.request(method, path, headers, body, PATIENCE, _MOST_BYTES)
                except FAULTS:
                    self._not_before = self._clock() + PAUSE
                    raise
                return head.status, reply
        except FAULTS as error:
            _log.debug("the collector does not answer: %s", type(error).__name__)
            return 0, b""

    def _connected(self) -> Connection:
        if self._connection is None:
            settings = self._settings or load()
            endpoint = Endpoint(settings.host, settings.port, api_key=settings.api_key)
            self._connection = Connection(endpoint.collector())
        return self._connection


def _path(function: str, key: str) -> str:
    """Return where a value is kept; a key that is long or holds what paths cannot is kept under its digest."""
    text = str(key)
    if not 0 < len(text) <= LONGEST_KEY or not text.isprintable() or text in (".", "..") or "/" in text:
        text = "sha256-" + sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"/api/cache/{quote(str(function), safe='')}/{quote(text, safe='')}"


mystic_client = MysticClient()
