"""Who asks, and what they had seen: two headers of a request that changes something."""

from __future__ import annotations

import re
from urllib.parse import unquote

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.hijack import read_text
from mystic_agent.contract.wire import ACTOR_HEADER
from starlette.requests import Request

_ETAG = re.compile(r'(?:W/)?"?(\d{1,18})"?')


def actor(request: Request, default: str = "api") -> str:
    """Return who asks, as they say themselves in the header ``X-Mystic-Actor`` (percent-encoded), for the audit.

    Raises:
        Invalid: when it is not printable text of at most 100 characters.
    """
    told = request.headers.get(ACTOR_HEADER, "")
    return read_text(unquote(told), ACTOR_HEADER, 100).strip() or default


def seen(request: Request) -> int | None:
    """Return the version in ``If-Match``, which the asker's decision was made on; None when it does not matter.

    Raises:
        Invalid: when it is no version.
    """
    told = request.headers.get("if-match", "").strip()
    if told in ("", "*"):
        return None
    match = _ETAG.fullmatch(told)
    if match is None:
        raise Invalid("If-Match", told, "give the version of the set that you have seen, as GET /api/hijacks tells it")
    return int(match[1])
