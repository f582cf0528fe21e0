"""What a cache counts: one outcome for each call, and what happened besides."""

from __future__ import annotations

HIT, SHARED_HIT, JOINED, STALE = "hit", "shared hit", "joined", "stale"
MISS, RENEWED, STILL_STALE = "miss", "renewed", "still stale"
BYPASS = "bypass"
KEPT_OUT, REFRESHED, NOT_REFRESHED = "kept_out", "refreshed", "not refreshed"

SPARED = frozenset((HIT, SHARED_HIT, JOINED, STALE))
"""Outcomes of calls for which nothing was computed."""

COMPUTED = frozenset((MISS, RENEWED, STILL_STALE))
"""Outcomes of calls that waited for a computation of their own, successful or not."""
