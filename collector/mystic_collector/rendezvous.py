"""The server at which collectors meet, by redis-py, which is imported only where such a server is named.

Law: nothing waits long for a server that does not answer: after a failure the next ones are refused at once for a
moment. What its library raises ends here, and neither user nor password is part of what is said.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from mystic_collector.meeting import Meeting
from mystic_collector.store.protocol import StoreError

PATIENCE = 1.5
"""Seconds for one answer, and for a connection."""

PAUSE = 0.5
"""Seconds after a failure in which nobody else asks."""

MOST_CONNECTIONS = 64

_Made = TypeVar("_Made")


class Rendezvous:
    """A client of one server. Thread-safe.

    Args:
        meeting: where it is.
        patience: seconds for one answer.
        clock: monotonic seconds.

    Raises:
        StoreError: when the library is not installed.
    """

    def __init__(
        self, meeting: Meeting, patience: float = PATIENCE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError:
            text = "MYSTIC_FLEET needs the library redis: pip install 'gnosis-mystic[redis]'"
            raise StoreError(text) from None
        self.meeting = meeting
        self._clock = clock
        self._errors = (redis.RedisError, OSError)
        self._away = (redis.ConnectionError, redis.TimeoutError, OSError)
        self._changed = redis.WatchError
        self._lock = threading.Lock()
        self._closed_until = 0.0
        self.trouble = ""
        self._client: Any = redis.Redis(  # its types do not tell answers from pipelines
            host=meeting.host,
            port=meeting.port,
            db=meeting.db,
            username=meeting.user or None,
            password=meeting.password or None,
            ssl=meeting.secure,
            ssl_ca_certs=str(meeting.ca_file) if meeting.ca_file else None,
            socket_timeout=patience,
            socket_connect_timeout=patience,
            retry=Retry(NoBackoff(), 0),
            max_connections=MOST_CONNECTIONS,
            client_name="gnosis-mystic",
        )

    def key(self, name: str) -> str:
        """Return the full name of one of our keys; all of them lie in one slot of a cluster."""
        return f"{{{self.meeting.prefix}}}:{name}"

    def ask(self, work: Callable[[Any], _Made]) -> _Made:
        """Return what ``work`` does with the client.

        Raises:
            StoreError: when the server does not answer or refuses; ``trouble`` says so until it answers again.
            Overtaken: when what was watched has changed meanwhile.
        """
        if self._clock() < self._closed_until:
            raise StoreError(self._told())
        try:
            made = work(self._client)
        except self._changed as error:
            raise Overtaken from error
        except self._errors as error:
            with self._lock:
                self.trouble = _reason(error)
                if isinstance(error, self._away):
                    self._closed_until = self._clock() + PAUSE
            raise StoreError(self._told()) from None
        if self.trouble:
            with self._lock:
                self.trouble = ""
        return made

    def setting(self, name: str) -> str:
        """Return a setting of the server; empty when it does not tell, as many providers' do not."""
        try:
            found: Mapping[str, str] = self._client.config_get(name)
        except self._errors:
            return ""
        return str(found.get(name, ""))

    def subscribed(self, channel: str) -> Any:
        """Return a subscription to ``channel``; its owner closes it.

        Raises:
            StoreError: as :meth:`ask`.
        """

        def subscribe(client: Any) -> Any:
            found = client.pubsub(ignore_subscribe_messages=True)
            try:
                found.subscribe(channel)
            except BaseException:
                found.close()
                raise
            return found

        return self.ask(subscribe)

    def close(self) -> None:
        """Release connections."""
        self._client.close()

    def _told(self) -> str:
        return (
            f"the fleet's server {self.meeting.shown} does not answer ({self.trouble}): hijacks stay as they are and"
            " cannot be changed; look whether it runs, and at MYSTIC_FLEET and MYSTIC_FLEET_PASSWORD_FILE"
        )


class Overtaken(Exception):
    """What was watched at the server has changed before it could be written."""


def _reason(error: BaseException) -> str:
    """Return what is wrong, without anything that a server or a library may quote."""
    names = {
        "AuthenticationError": "it refuses the password",
        "AuthenticationWrongNumberOfArgsError": "it refuses the password",
        "NoPermissionError": "the user may not do that",
        "TimeoutError": "timed out",
        "ConnectionError": "no connection",
        "ReadOnlyError": "it is a read-only replica",
        "OutOfMemoryError": "it has no memory left",
        "BusyLoadingError": "it is still loading",
    }
    return names.get(type(error).__name__, type(error).__name__)
