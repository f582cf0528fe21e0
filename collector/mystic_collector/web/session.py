"""What a browser shows instead of the key: a signed moment until which it may ask. Law: pure.

A session is ``<end>.<nonce>.<signature>``. It is signed with a key that is derived from the API key, so that it says
nothing about that key, needs no table, and ends for everybody when the API key changes.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from http.cookies import CookieError, SimpleCookie

LASTS = 12 * 3600
"""Seconds from login to the next one."""

PAGE_HEADER = "x-mystic-page"
"""Sent by our scripts with whatever changes something; no other page can send it without being asked first (CORS)."""

_SAFE = ("GET", "HEAD")
_TOKEN = re.compile(r"(\d{1,12})\.([0-9a-f]{32})\.([0-9a-f]{64})")
_LONGEST = 16_384
"""Characters of a Cookie header that are looked at."""


def cookie_name(api_key: str) -> str:
    """Return the cookie's name; another one for another key, because all ports of a host share their cookies."""
    return f"mystic_{hmac.new(api_key.encode(), b'mystic page cookie', hashlib.sha256).hexdigest()[:12]}"


def issue(api_key: str, now: float, lasts: float = LASTS) -> str:
    """Return a session that ends ``lasts`` seconds after ``now`` (Unix seconds)."""
    told = f"{int(now + lasts)}.{secrets.token_hex(16)}"
    return f"{told}.{_signature(api_key, told)}"


def valid(api_key: str, session: str, now: float) -> bool:
    """True for a session that was issued with ``api_key`` and has not ended at ``now``."""
    match = _TOKEN.fullmatch(session)
    if match is None or not api_key:
        return False
    told = f"{match[1]}.{match[2]}"
    return hmac.compare_digest(_signature(api_key, told), match[3]) and now < int(match[1])


def admits(api_key: str, cookies: str, method: str, marked: bool, now: float) -> bool:
    """True when a request may pass for its cookie.

    Args:
        cookies: its Cookie header.
        marked: it has PAGE_HEADER, without which a cookie can read only.
    """
    if not cookies or len(cookies) > _LONGEST or not (marked or method in _SAFE):
        return False
    try:
        found = SimpleCookie(cookies).get(cookie_name(api_key))
    except CookieError:
        return False
    return found is not None and valid(api_key, found.value, now)


def _signature(api_key: str, told: str) -> str:
    key = hmac.digest(api_key.encode(), b"mystic page session", "sha256")
    return hmac.new(key, told.encode(), hashlib.sha256).hexdigest()
