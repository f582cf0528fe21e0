"""What functions do outside of their process, and keeping them from it in one stage."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver import Elicit, ElicitationResult, Resolve
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from mystic_collector.chat import consent
from mystic_collector.chat.answer import Answer, Paged, answer
from mystic_collector.chat.consent import Approval, Change
from mystic_collector.chat.names import service_meant
from mystic_collector.chat.page import fitting, following, more, shortened, start
from mystic_collector.chat.session import Asked, chat_of, owner_of
from mystic_collector.chat.tools.hijacks import settle
from mystic_collector.chat.tools.parameters import Confirmation, Cursor, Reason, Service
from mystic_collector.chat.tools.row import Row, row_of, shown
from mystic_collector.units import duration

MOST_MOCKS = 20


class Caller(BaseModel):
    """One function that calls out."""

    target: str = Field(description="the function to mock so that nothing is called")
    service: str
    stages: list[str]
    peers: list[str] = Field(description="hosts and programs it reaches")
    protocols: list[str] = []
    via: list[str] = Field(default=[], description="library functions through which it does")
    operations: int = 0
    errors: int = 0
    waited: float = Field(default=0.0, description="seconds in all")
    share: float | None = Field(default=None, description="of its time spent waiting for them")


class Callers(Paged):
    """Functions that call out, the longest waiting first."""

    functions: list[Caller]


class Mock(BaseModel):
    """What one function is to answer instead of calling out."""

    function: str = Field(description="a target from find_external_calls, or a host it calls, e.g. api.example.com")
    value: Any = Field(default=None, description="what it returns, as JSON")
    exception: str = Field(default="", description="what it raises instead, e.g. TimeoutError")


class Mocked(Answer):
    """The hijacks that were made."""

    hijacks: list[Row]
    pending: bool = Field(description="processes have not all answered yet; list_hijacked_functions tells later")


async def find_external_calls(
    ctx: Asked,
    query: Annotated[
        str, Field(description='a function, a host, a program or a protocol such as "http"; empty: all')
    ] = "",
    service: Service = "",
    stage: Annotated[str, Field(description="only processes whose MYSTIC_ENV is this; empty for any")] = "",
    cursor: Cursor = "",
) -> Annotated[CallToolResult, Callers]:
    """List the functions that call external systems (HTTP APIs, databases, programs), found from what they did: whom
    they reach, how often, how long they wait, and which function to mock.

    Use it for "what does the service call?", and before mock_external_calls. Example: {"service": "OCR"}
    """
    collector, first = chat_of(ctx).collector, start(cursor)
    where = await service_meant(collector, service)
    found = (await collector.get("/api/analysis/external", q=query, service=where, stage=stage))["functions"]
    rows, lines = fitting((Caller.model_validate(one) for one in found[first:]), _shown)
    upto = following(first, len(rows), len(found))
    head = f"{len(found)} functions call out:" if found else "No function was seen calling out."
    return answer([head, *lines, *more(upto)], Callers(functions=rows, total=len(found), cursor=upto))


def _shown(one: Caller) -> str:
    share = "" if one.share is None else f", {one.share:.0%} of its time"
    through = f" through {', '.join(one.via[:3])}" if one.via else ""
    return (
        f"- {one.target} ({one.service}) reaches {', '.join(one.peers[:5])}{through}: {one.operations} operations, "
        f"{one.errors} errors, waited {duration(one.waited)}{share}"
    )


async def approve_mocks(
    ctx: Asked, mocks: list[Mock], service: str, stage: str, confirmation: str
) -> Approval | Elicit[Approval]:
    """Ask for :func:`mock_external_calls` where somebody must be asked."""
    await consent.refuse_when_read_only(ctx)
    if not mocks:
        return Approval(approved=True)  # answered with what there is to mock
    where = await service_meant(chat_of(ctx).collector, service) or "*"
    changes = [
        Change(
            f"let {one.function} answer {one.exception or shortened(one.value, 200)} without calling out",
            {**one.model_dump(), "service": where, "stage": stage},
            where,
            {stage: ["mock"]},
        )
        for one in mocks
    ]
    return await consent.ask(ctx, changes, confirmation)


async def mock_external_calls(
    ctx: Asked,
    approval: Annotated[ElicitationResult[Approval], Resolve(approve_mocks)],
    mocks: Annotated[
        list[Mock], Field(description="what to answer; leave it out to be told what calls out", max_length=MOST_MOCKS)
    ] = [],  # noqa: B006 - read only
    stage: Annotated[str, Field(description="only where MYSTIC_ENV is this")] = "development",
    service: Service = "",
    reason: Reason = "",
    confirmation: Confirmation = "",
) -> Annotated[CallToolResult, Mocked]:
    """Let functions answer with fixed values instead of calling external systems, in one stage only.

    Use it for "Mock the external API calls in development environment": first find_external_calls, then
    {"stage": "development", "mocks": [{"function": "app.weather:fetch", "value": {"temperature": 20}}]}.
    A value must look like what the function returns; inspect_function shows that. Other stages stay as they are.
    """
    consent.require(approval)
    collector = chat_of(ctx).collector
    where = await service_meant(collector, service)
    if not mocks:
        listed = (await collector.get("/api/analysis/external", service=where))["functions"]
        there = "; ".join(f"{one['target']} reaches {', '.join(one['peers'][:3])}" for one in listed[:20])
        raise ToolError(
            f"mocks is empty: give a value for each function that calls out: {there or 'none was seen yet'}"
        )
    made = []
    for one in mocks:
        fields: dict[str, Any] = {"stage": stage, "service": where or "*", "owner": owner_of(ctx)}
        fields |= {"exception": one.exception} if one.exception else {"value": one.value}
        fields |= {"reason": reason} if reason else {}
        made.append(await _mock(ctx, one.function, fields))
    rows, waiting = [], 0
    for added in made:
        known, left = await settle(ctx, added)
        rows.append(row_of(known))
        waiting += left
    lines = [f"mocked where MYSTIC_ENV is {stage}:", *map(shown, rows)]
    return answer(lines, Mocked(hijacks=rows, pending=waiting > 0))


async def _mock(ctx: Asked, named: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Make one mock; a name that is no function's is a host's."""
    collector = chat_of(ctx).collector
    rows = (await collector.get("/api/analysis/external"))["functions"]
    peers = {peer for one in rows for peer in (*one["peers"], *(peer.rpartition(":")[0] for peer in one["peers"]))}
    field = "peer" if named in peers else "function"
    added: dict[str, Any] = await collector.post(
        "/api/analysis/external/mock", {**fields, field: named}, by=fields["owner"]
    )
    return added
