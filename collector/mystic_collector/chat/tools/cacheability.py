"""Which functions are worth a cache."""

from __future__ import annotations

from typing import Annotated, Any

from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from mystic_collector.chat.answer import Paged, answer
from mystic_collector.chat.captured import line
from mystic_collector.chat.names import function_meant, service_meant
from mystic_collector.chat.page import fitting, following, more, start
from mystic_collector.chat.session import Asked, chat_of
from mystic_collector.chat.tools.parameters import Cursor, Service
from mystic_collector.units import duration

_MOST = 50


class Prediction(BaseModel):
    """What a cache would do with one time to live."""

    ttl: float = Field(description="seconds")
    hit_rate: float
    seconds_saved_per_hour: float
    bytes: int = Field(description="memory it would take")


class Candidate(BaseModel):
    """One function."""

    function: str
    service: str
    verdict: str = Field(description="yes, no or unknown")
    reasons: list[str]
    notes: list[str] = []
    ttl: float | None = Field(default=None, description="the time to live to choose, in seconds")
    hit_rate: float = Field(default=0.0, description="predicted, with that")
    seconds_saved_per_hour: float = 0.0
    calls: int = Field(default=0, description="calls that were looked at")
    mean_time: float = Field(default=0.0, description="seconds")
    predictions: list[Prediction] = []


class Candidates(Paged):
    """Functions, those worth a cache first."""

    functions: list[Candidate]


async def find_cacheable_functions(
    ctx: Asked,
    function: Annotated[str, Field(description="one function, by any of its names; empty for all analyzed")] = "",
    service: Service = "",
    ttl: Annotated[str, Field(description='also predict for this time to live, of one function, e.g. "30m"')] = "",
    cursor: Cursor = "",
) -> Annotated[CallToolResult, Candidates]:
    """Tell from live traffic which functions a cache would help, and which must not be cached and why: predicted hit
    rate, seconds saved per hour and memory for several times to live, with the evidence.

    Use it for "what can I cache?" {}, or "would caching process_ocr for 30 minutes help?"
    {"function": "process_ocr", "ttl": "30m"}; then hijack_function with strategy cache.
    """
    collector, first = chat_of(ctx).collector, start(cursor)
    where = await service_meant(collector, service)
    if function:
        name = await function_meant(collector, function)
        found = (await collector.get(f"/api/analysis/cacheability/{name}", service=where, ttl=ttl))["services"]
    else:
        found = (await collector.get("/api/analysis/cacheability", service=where, limit=_MOST))["functions"]
    rows, lines = fitting((Candidate.model_validate(_told(one)) for one in found[first:]), _shown)
    upto = following(first, len(rows), len(found))
    head = [] if found else ["No function has been analyzed yet; that happens by itself while the service is used."]
    return answer([*head, *lines, *more(upto)], Candidates(functions=rows, total=len(found), cursor=upto))


def _told(found: dict[str, Any]) -> dict[str, Any]:
    return {**found, "reasons": [line(one, 400) for one in found["reasons"]], "notes": found["notes"][:10]}


def _shown(one: Candidate) -> str:
    worth = ""
    if one.ttl is not None:
        saved = duration(one.seconds_saved_per_hour)
        worth = f", with a ttl of {duration(one.ttl)} {one.hit_rate:.0%} hits and {saved} saved an hour"
    others = "".join(
        f"\n    ttl {duration(row.ttl)}: {row.hit_rate:.0%} hits" for row in one.predictions if row.hit_rate
    )
    return f"- {one.function} ({one.service}): {one.verdict}{worth}; {'; '.join(one.reasons)}{others}"
