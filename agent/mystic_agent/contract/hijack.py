"""A hijack: which functions, in which stages, get which strategies, by whom, why and until when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.named import NamedTuple
from mystic_agent.contract.pattern import pattern
from mystic_agent.contract.strategy import StrategySpec, parse_strategy
from mystic_agent.contract.target import Target, parse_target

_NAME = pattern(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_ID = pattern(r"[A-Za-z0-9_-]{1,64}")
_FIELDS = ("id", "target", "service", "stages", "owner", "reason", "created_at", "expires_at")
ANY_STAGE = "*"
MOST_STRATEGIES = 16
MOST_STAGES = 32


class Hijack(NamedTuple):
    """One validated hijack.

    Attributes:
        id: set by the registry; unique over its life.
        target: the functions meant.
        service: ``service.name`` it applies to, or ``*``.
        stages: per stage name (``*`` for any other) the strategies, outermost first.
        owner: who asked for it; shown to people.
        reason: why; shown to people.
        created_at: Unix seconds.
        expires_at: Unix seconds, or None for no expiry.
    """

    id: str
    target: Target
    service: str
    stages: Mapping[str, tuple[StrategySpec, ...]]
    owner: str = ""
    reason: str = ""
    created_at: float = 0.0
    expires_at: float | None = None

    def strategies(self, stage: str) -> tuple[StrategySpec, ...]:
        """Return the strategies in force in ``stage``; empty when the hijack does not concern it."""
        return self.stages.get(stage, self.stages.get(ANY_STAGE, ()))

    def applies_to(self, service: str) -> bool:
        """True when a process of ``service`` should look at this hijack."""
        return self.service in ("*", service)

    def expired(self, now: float) -> bool:
        """True when the lease has run out at ``now`` (Unix seconds)."""
        return self.expires_at is not None and now >= self.expires_at

    def to_json(self) -> dict[str, Any]:
        """Return the wire form that :func:`parse_hijack` reads back unchanged."""
        return {
            "id": self.id,
            "target": str(self.target),
            "service": self.service,
            "stages": {stage: [spec.to_json() for spec in specs] for stage, specs in self.stages.items()},
            "owner": self.owner,
            "reason": self.reason,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
        }


def parse_hijack(value: object, field: str = "hijack") -> Hijack:
    """Read the wire form.

    Raises:
        Invalid: naming the first field that is wrong.
    """
    if not isinstance(value, Mapping):
        raise Invalid(field, value, "give a hijack as an object with target and stages")
    for key in value:
        if key not in _FIELDS:
            raise Invalid(field, key, f"unknown field; known are {', '.join(_FIELDS)}")
    identity = value.get("id", "")
    if not isinstance(identity, str) or not _ID.fullmatch(identity):
        raise Invalid("id", identity, "give 1 to 64 letters, digits, - or _")
    service = value.get("service", "*")
    if service != "*" and not (isinstance(service, str) and _NAME.fullmatch(service)):
        raise Invalid("service", service, "give a service name, or * for all")
    created = value.get("created_at", 0.0)
    expires = value.get("expires_at")
    for name, moment in (("created_at", created), ("expires_at", expires)):
        if moment is not None and (isinstance(moment, bool) or not isinstance(moment, (int, float))):
            raise Invalid(name, moment, "give Unix seconds as a number")
    return Hijack(
        id=identity,
        target=parse_target(value.get("target")),
        service=service,
        stages=parse_stages(value.get("stages")),
        owner=read_text(value.get("owner", ""), "owner"),
        reason=read_text(value.get("reason", ""), "reason"),
        created_at=float(created or 0.0),
        expires_at=None if expires is None else float(expires),
    )


def parse_stages(value: object) -> dict[str, tuple[StrategySpec, ...]]:
    """Read ``{"production": [{"cache": {...}}], "*": [...]}``; a bare list means every stage.

    Raises:
        Invalid: naming stage and position of the first strategy that is wrong.
    """
    if isinstance(value, (list, tuple)):
        value = {ANY_STAGE: value}
    if not isinstance(value, Mapping) or not value or len(value) > MOST_STAGES:
        raise Invalid("stages", value, 'give strategies per stage, e.g. {"*": [{"observe": {}}]}')
    stages: dict[str, tuple[StrategySpec, ...]] = {}
    for stage, listed in value.items():
        if stage != ANY_STAGE and not (isinstance(stage, str) and _NAME.fullmatch(stage)):
            raise Invalid("stages", stage, "name a stage such as development, staging, production, or *")
        if not isinstance(listed, (list, tuple)) or len(listed) > MOST_STRATEGIES:
            raise Invalid(f"stages.{stage}", listed, f"give a list of at most {MOST_STRATEGIES} strategies")
        stages[stage] = tuple(parse_strategy(one, f"stages.{stage}[{i}]") for i, one in enumerate(listed))
    return stages


def read_text(value: object, field: str, limit: int = 500) -> str:
    """Return ``value`` when it is printable text of at most ``limit`` characters.

    Raises:
        Invalid: otherwise; control characters are refused because the text is shown to people and models.
    """
    if isinstance(value, str) and len(value) <= limit and all(c.isprintable() or c == "\n" for c in value):
        return value
    raise Invalid(field, value, f"give printable text of at most {limit} characters")
