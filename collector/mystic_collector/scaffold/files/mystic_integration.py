"""Mystic, for code that names it: works, and costs nothing, where Mystic is absent or switched off.

    from app.mystic_integration import mystic_aware, mystic_client

Nothing in the application needs this: functions are seen and changed without it. MYSTIC_ENABLED=true switches it on.
"""

from __future__ import annotations

import os
from typing import Any

__all__ = ["MYSTIC_ENABLED", "mystic_aware", "mystic_client"]

MYSTIC_ENABLED = os.getenv("MYSTIC_ENABLED", "").strip().lower() in ("1", "true", "yes", "on")


def _unmarked(function: Any = None, /, **options: Any) -> Any:
    """Return the function as it is."""
    return function if function is not None else _unmarked


class _Nobody:
    """Keeps nothing and asks nobody."""

    enabled = False

    async def get_cache(self, function: str, key: str) -> Any:
        return None

    async def set_cache(self, function: str, key: str, value: Any, ttl: Any = None) -> bool:
        return False

    def get_cache_sync(self, function: str, key: str) -> Any:
        return None

    def set_cache_sync(self, function: str, key: str, value: Any, ttl: Any = None) -> bool:
        return False

    async def check_hijack(self, function: str) -> None:
        return None

    async def report_call(self, function: str, duration: float, error: Any = None) -> None:
        return None


mystic_aware: Any = _unmarked
mystic_client: Any = _Nobody()
if MYSTIC_ENABLED:
    try:
        from mystic_agent import integration
    except ImportError:  # not installed here
        MYSTIC_ENABLED = False
    else:
        mystic_aware, mystic_client = integration.mystic_aware, integration.mystic_client
