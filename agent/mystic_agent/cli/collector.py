"""The commands' way to a running collector: plain HTTP requests, answered or explained."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any

from mystic_agent.cli.failure import Failure
from mystic_agent.contract import wire
from mystic_agent.settings import Settings

_MOST_BYTES = 8 << 20
_KEY = "set MYSTIC_API_KEY or MYSTIC_API_KEY_FILE to its key"


def get(settings: Settings, path: str, timeout: float = 3.0) -> Any:
    """Return the decoded JSON reply of ``GET path``.

    Raises:
        Failure: when nobody answers, or the answer is not a good one.
    """
    where = f"{settings.host}:{settings.port}"
    connection = http.client.HTTPConnection(settings.host, settings.port, timeout=timeout)
    try:
        connection.request("GET", path, headers=headers(settings))
        reply = connection.getresponse()
        body = reply.read(_MOST_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise Failure(f"no collector answers at {where} ({error or type(error).__name__})", _remedy(error)) from None
    finally:
        connection.close()
    if reply.status == 421:
        raise Failure(
            f"the collector does not go by the name {settings.host!r} (421)", "add it to MYSTIC_ALLOWED_HOSTS there"
        )
    if reply.status in (401, 403):
        raise Failure(f"the collector at {where} refused the key ({reply.status})", _KEY)
    if reply.status != 200:
        raise Failure(f"the collector at {where} answered {reply.status} to {path!r}", "see its log")
    try:
        return json.loads(body)
    except ValueError:
        raise Failure(
            f"what listens at {where} is no collector", "set MYSTIC_PORT, or stop what uses the port"
        ) from None


def _remedy(error: Exception) -> str:
    """Return what to do about a collector that cannot be reached, by how far the attempt came."""
    if isinstance(error, socket.gaierror):
        return "set MYSTIC_HOST to a name that is known here; containers need a network that both are in"
    if isinstance(error, TimeoutError):
        return "look for a firewall or a network policy between here and there, and at MYSTIC_HOST"
    return "start one with 'mystic serve', or set MYSTIC_HOST and MYSTIC_PORT"


def healthy(settings: Settings, timeout: float = 1.0) -> bool:
    """True when a collector answers where the settings say."""
    try:
        get(settings, wire.HEALTH_PATH, timeout)
    except Failure:
        return False
    return True


def first_event(settings: Settings, timeout: float = 3.0) -> str:
    """Open the stream of hijacks and return its first event's name.

    Raises:
        Failure: when the stream does not open or stays silent.
    """
    from urllib.parse import urlencode

    query = urlencode({"service": settings.service, "instance": "doctor", "stage": settings.stage})
    connection = http.client.HTTPConnection(settings.host, settings.port, timeout=timeout)
    try:
        connection.request("GET", f"{wire.STREAM_PATH}?{query}", headers=headers(settings))
        reply = connection.getresponse()
        if reply.status in (401, 403):
            raise Failure(f"the stream of hijacks refused the key ({reply.status})", _KEY)
        if reply.status != 200:
            raise Failure(f"the stream of hijacks answered {reply.status}", "see the collector's log")
        for _ in range(50):
            line = reply.fp.readline(4096).decode("utf-8", "replace") if reply.fp else ""
            if line.startswith("event:"):
                return line[6:].strip()
            if not line:
                break
    except (OSError, http.client.HTTPException) as error:
        raise Failure(
            f"the stream of hijacks stays silent ({error or type(error).__name__})",
            "look for a proxy that buffers answers between here and the collector",
        ) from None
    finally:
        connection.close()
    raise Failure("the stream of hijacks ended at once", "see the collector's log")


def headers(settings: Settings) -> dict[str, str]:
    """Return the headers of every request; the key only when there is one."""
    return {"Accept": "application/json", **({wire.API_KEY_HEADER: settings.api_key} if settings.api_key else {})}
