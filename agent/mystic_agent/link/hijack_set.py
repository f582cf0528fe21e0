"""The set of hijacks that the collector sends: read so that one bad hijack costs only itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.hijack import Hijack, parse_hijack
from mystic_agent.contract.named import NamedTuple

MOST_HIJACKS = 10_000


class HijackSet(NamedTuple):
    """One version of the whole set.

    Attributes:
        version: of the collector's registry.
        hijacks: the valid ones, in the order sent.
        rejected: (id, reason) of the others; an id that cannot be shown is given as its position, ``#3``.
        off: release everything, and go on listening.
        now: Unix seconds at the collector; None when it does not say.
    """

    version: int
    hijacks: tuple[Hijack, ...]
    rejected: tuple[tuple[str, str], ...]
    off: bool = False
    now: float | None = None


def read_hijack_set(text: str) -> HijackSet:
    """Read ``{"version": N, "now": seconds, "off": false, "hijacks": […]}``.

    Raises:
        Invalid: when it is no such set at all, so that the last good one stays in force.
    """
    value = _parsed(text)
    version = value.get("version")
    listed = value.get("hijacks")
    if isinstance(version, bool) or not isinstance(version, int):
        raise Invalid("version", version, "give a whole number")
    if not isinstance(listed, list) or len(listed) > MOST_HIJACKS:
        raise Invalid("hijacks", type(listed).__name__, f"give a list of at most {MOST_HIJACKS} hijacks")
    off, now = value.get("off", False), value.get("now")
    if not isinstance(off, bool):
        raise Invalid("off", off, "give true or false")
    if now is not None and (isinstance(now, bool) or not isinstance(now, (int, float)) or not 0 <= now < 1e12):
        raise Invalid("now", now, "give Unix seconds")
    hijacks: dict[str, Hijack] = {}
    rejected: list[tuple[str, str]] = []
    for position, one in enumerate(listed):
        try:
            hijack = parse_hijack(one)
            if hijack.id in hijacks:
                raise Invalid("id", hijack.id, "give every hijack an id of its own")
        except (Invalid, RecursionError, OverflowError) as error:
            rejected.append((_identity(one, position), str(error) or type(error).__name__))
        else:
            hijacks[hijack.id] = hijack
    return HijackSet(version, tuple(hijacks.values()), tuple(rejected), off, now)


def _parsed(text: str) -> Mapping[str, Any]:
    import json

    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Invalid("hijacks", text[:80], f"send JSON ({type(error).__name__})") from None
    if not isinstance(value, dict):
        raise Invalid("hijacks", text[:80], "send an object with version and hijacks")
    return value


def _refuse(constant: str) -> float:
    raise ValueError(constant)


def _identity(value: object, position: int) -> str:
    identity = value.get("id") if isinstance(value, Mapping) else None
    if isinstance(identity, str) and 0 < len(identity) <= 64 and identity.isprintable():
        return identity
    return f"#{position}"
