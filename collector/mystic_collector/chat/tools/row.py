"""One hijack, as tools answer with it."""

from __future__ import annotations

from typing import Any

from mystic_agent.contract.strategy import STRATEGIES
from pydantic import BaseModel, Field

from mystic_collector.chat.captured import line
from mystic_collector.chat.page import shortened
from mystic_collector.units import duration


class Row(BaseModel):
    """One hijack as it is in force."""

    id: str
    target: str
    service: str
    stages: dict[str, list[dict[str, Any]]] = Field(description="strategies with their options, by stage")
    owner: str
    reason: str
    created_at: float
    expires_at: float | None = Field(default=None, description="Unix seconds; null: never")
    summary: str = Field(description='e.g. "attached in 4 of 4 processes"')
    functions: list[str] = Field(default=[], description="those it is in force on; the first fifty")
    failures: list[dict[str, Any]] = Field(default=[], description="where it could not be put on, and why")
    stale: list[str] = Field(default=[], description="why it should be removed or renewed")


def row_of(found: dict[str, Any]) -> Row:
    """Return a hijack as the API shows it."""
    progress = found["progress"]
    return Row.model_validate(
        {
            **found,
            "summary": progress["summary"],
            "functions": progress["functions"][:50],
            "failures": progress["failures"][:10],
        }
    )


def shown(row: Row) -> str:
    """Return a hijack for people."""
    stages = "; ".join(f"{stage}: {', '.join(map(_said, specs))}" for stage, specs in row.stages.items())
    failed = "".join(
        f"\n  {one['function']} in process {one['pid']} is {one['state']}: {line(one['reason'])}"
        for one in row.failures
    )
    aged = "".join(f"\n  to remove or renew: {line(reason)}" for reason in row.stale)
    end = f", for {duration(row.expires_at - row.created_at)} from its beginning" if row.expires_at else ""
    return (
        f"- hijack {row.id} on {row.target} (service {row.service}): {stages}; {row.summary}"
        f"; by {row.owner or 'nobody'}{end}" + (f", because: {line(row.reason)}" if row.reason else "") + failed + aged
    )


def _said(spec: dict[str, Any]) -> str:
    """Return a strategy with those of its options that are not as by default."""
    [(name, options)] = spec.items()
    known = STRATEGIES.get(name, {})
    told = {key: value for key, value in options.items() if key not in known or value != _plain(known[key].default)}
    return f"{name} {shortened(told, 400)}" if told else name


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
