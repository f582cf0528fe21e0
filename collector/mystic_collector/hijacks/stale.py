"""Which hijacks have had their time, each with the reason and what to type. Law: pure; facts in, reasons out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mystic_agent.contract.hijack import Hijack

from mystic_collector.hijacks.policy import DAY, ends_soon

UNUSED_AFTER = 7 * DAY
SETTLED_AFTER = 60.0
"""Seconds after which processes must have found what a new hijack names."""

MISSES_THAT_TELL = 100


@dataclass(frozen=True, slots=True)
class Use:
    """What is known of one hijacked function.

    Attributes:
        last_called: Unix seconds; None when it never was.
        hits, misses: of its cache; what bypassed it counts as a miss.
    """

    function: str
    last_called: float | None = None
    hits: int = 0
    misses: int = 0


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a hijack is stale: ``kind`` for programs, ``text`` for people, and the command that answers it."""

    kind: str
    text: str
    command: str

    def to_json(self) -> dict[str, str]:
        """Return the three texts."""
        return {"kind": self.kind, "text": self.text, "command": self.command}


def stale(
    hijack: Hijack,
    now: float,
    progress: Mapping[str, Any],
    uses: Iterable[Use],
    then: Mapping[str, str],
    today: Mapping[str, str],
    unused_after: float = UNUSED_AFTER,
) -> list[Reason]:
    """Return the reasons why ``hijack`` should be looked at; empty when it is well.

    Args:
        now: Unix seconds.
        progress: see :func:`mystic_collector.hijacks.progress.progress`.
        uses: of the functions that it is on.
        then, today: digests of the functions' sources when it was put, and now; what is unknown is left out.
        unused_after: seconds.
    """
    release, renew = f"mystic release {hijack.id}", f"mystic renew {hijack.id}"
    uses, age = list(uses), now - hijack.created_at
    found = []
    if ends_soon(hijack, now):
        left = max(0.0, (hijack.expires_at or now) - now)
        found.append(Reason("ends_soon", f"its lease ends in {spoken(left)}", renew))
    everybody = progress["processes"] > 0 and progress["answered"] >= progress["processes"]
    if age > SETTLED_AFTER and everybody and not progress["attached"]:
        why = next((one["reason"] for one in progress["failures"] if one["reason"]), "its module is not loaded")
        found.append(Reason("missing", f"it is on no function in any process: {why}", release))
    last = max((one.last_called or 0.0 for one in uses), default=0.0)
    if age > unused_after and now - last > unused_after:
        since = f"for {spoken(now - last)}" if last else f"since it was made, {spoken(age)} ago"
        found.append(Reason("unused", f"nothing that it is on was called {since}", release))
    changed = sorted(name for name, digest in then.items() if today.get(name, digest) != digest)
    if changed:
        names = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
        found.append(Reason("source_changed", f"the source of {names} has changed since", release))
    if "cache" in {spec.name for specs in hijack.stages.values() for spec in specs}:
        idle = [one for one in uses if one.misses >= MISSES_THAT_TELL and not one.hits]
        if idle and len(idle) == len(uses):
            calls = sum(one.misses for one in idle)
            found.append(Reason("no_effect", f"its cache has served none of {calls} calls", release))
    return found


def spoken(seconds: float) -> str:
    """Return a duration as people say it: ``3 days``, ``5 hours``, ``40 minutes``."""
    for size, unit in ((DAY, "day"), (3600.0, "hour"), (60.0, "minute")):
        if seconds >= size:
            number = int(seconds / size)
            return f"{number} {unit}{'s' if number > 1 else ''}"
    return f"{int(seconds)} seconds"
