"""What the collector lets into the set of hijacks, and for how long. Pure; the clock is a parameter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from mystic_agent.contract.allowed import disallowed
from mystic_agent.contract.deny import check_target
from mystic_agent.contract.duration import seconds
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.hijack import Hijack, parse_hijack
from mystic_agent.contract.strategy import OBSERVING

WEEK = 7 * 86400.0
DAY = 86400.0
NEVER = "never"

MOST_HIJACKS = 1_000
MOST_BYTES = 2 * 2**20
"""Size of the whole set as JSON; agents refuse events above 4 MiB."""


class Forbidden(Invalid):
    """What is well-formed and may not be: the attempt belongs into the audit."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one collector.

    Attributes:
        default_expiry: seconds after which a hijack that changes behaviour ends when nothing is said; None: never.
            A week by default: it sees every day of a week's traffic once, and is as long as figures are kept, so
            that what it did can still be compared with before when somebody has to decide about renewing it.
        allowed: names of the strategies that may be used; None for all.
    """

    default_expiry: float | None = WEEK
    allowed: frozenset[str] | None = None

    def read(self, fields: Mapping[str, Any], identity: str, now: float) -> Hijack:
        """Return the hijack that ``fields`` ask for, with its lease.

        Args:
            fields: the wire form without ``id`` and ``created_at``; ``expires_in`` (a duration, or ``never``) may
                stand for ``expires_at``. Null says nothing.
            identity: its id.
            now: Unix seconds.

        Raises:
            Invalid: naming the field that is wrong.
        """
        for name in ("id", "created_at"):
            if name in fields and fields[name] != identity:
                raise Invalid(name, fields[name], "leave it out; the collector sets it")
        body = {name: value for name, value in fields.items() if name not in ("id", "created_at", "expires_in")}
        told = fields.get("expires_in")
        if told is not None:
            if body.get("expires_at") is not None:
                raise Invalid("expires_in", told, "give either expires_in or expires_at")
            body["expires_at"] = self.end(told, now)
        hijack = parse_hijack({**body, "id": identity, "created_at": now})
        if told is None and hijack.expires_at is None and changes_behaviour(hijack) and self.default_expiry is not None:
            hijack = parse_hijack({**hijack.to_json(), "expires_at": now + self.default_expiry})
        if hijack.expired(now):
            raise Invalid("expires_at", hijack.expires_at, "give a moment in the future, as Unix seconds")
        return hijack

    def end(self, told: object, now: float, field: str = "expires_in") -> float | None:
        """Return when a lease of ``told`` that begins now ends, in Unix seconds; None for never.

        Raises:
            Invalid: when it is neither a duration nor ``never``.
        """
        if told == NEVER:
            return None
        try:
            return now + seconds(told, field)
        except Invalid as error:
            raise Invalid(field, told, f"{error.remedy}, or say 'never'") from None

    def check(self, hijack: Hijack) -> None:
        """Refuse what no hijack may change, and strategies that are not allowed here.

        Raises:
            Forbidden: with the reason.
        """
        for stage, specs in hijack.stages.items():
            reason = disallowed(specs, self.allowed)
            if reason:
                raise Forbidden(f"stages.{stage}", [spec.name for spec in specs], f"refused: {reason}")
            try:
                check_target(hijack.target, specs)
            except Invalid as error:
                raise Forbidden(error.field, str(hijack.target), error.remedy) from None


def changes_behaviour(hijack: Hijack) -> bool:
    """True when some stage has a strategy that does more than observe."""
    return any(spec.name not in OBSERVING for specs in hijack.stages.values() for spec in specs)


def ends_soon(hijack: Hijack, now: float) -> bool:
    """True in the last tenth of a lease, within its last day at most."""
    if hijack.expires_at is None:
        return False
    return hijack.expires_at - now <= min(DAY, (hijack.expires_at - hijack.created_at) / 10)


def check_size(hijacks: Iterable[Hijack]) -> None:
    """Refuse a set that not every agent could take.

    Raises:
        Invalid: with the bound.
    """
    bodies = [one.to_json() for one in hijacks]
    if len(bodies) > MOST_HIJACKS:
        raise Invalid("hijacks", len(bodies), f"remove some; at most {MOST_HIJACKS} are kept")
    size = len(orjson.dumps(bodies))
    if size > MOST_BYTES:
        raise Invalid("hijacks", f"{size} bytes", f"remove some; all together may have {MOST_BYTES} bytes as JSON")
