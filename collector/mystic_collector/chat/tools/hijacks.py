"""Change what functions do, and take it back."""

from __future__ import annotations

from typing import Annotated, Any

import anyio
from mcp.server.mcpserver import Elicit, ElicitationResult, Resolve
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult
from mystic_agent.contract.strategy import STRATEGIES
from pydantic import Field

from mystic_collector.chat import consent
from mystic_collector.chat.answer import Answer, Paged, answer
from mystic_collector.chat.consent import Approval, Change, hijack_stages
from mystic_collector.chat.names import EVERYTHING, function_meant, service_meant
from mystic_collector.chat.page import fitting, following, more, shortened, start
from mystic_collector.chat.session import Asked, chat_of, owner_of
from mystic_collector.chat.tools.parameters import Confirmation, Cursor, FunctionName, Reason, Service
from mystic_collector.chat.tools.row import Row, row_of, shown
from mystic_collector.chat.tools.status import switched_off

_EVERY = 0.2

Strategy = Annotated[str, Field(description="what to do with its calls", json_schema_extra={"enum": list(STRATEGIES)})]
Options = Annotated[dict[str, Any], Field(description='the strategy\'s options, e.g. {"ttl": "30m"}')]
Stage = Annotated[
    str, Field(description="only where MYSTIC_ENV is this: development, staging, production, …; * for every stage")
]


class Hijacked(Answer):
    """What came of a change."""

    hijack: Row | None = Field(default=None, description="null after a dry run")
    pending: bool = Field(description="processes have not all answered yet; list_hijacked_functions tells later")
    trial: dict[str, Any] | None = Field(default=None, description="of a dry run: where it would be put on or refused")


class Hijacks(Paged):
    """Hijacks in force."""

    version: int
    hijacks: list[Row]
    off: list[str] = Field(default=[], description="services in which none of them is in force now; * for all")


class Released(Answer):
    """What was taken back."""

    removed: list[str] = Field(description="ids of the hijacks")


async def approve_hijack(
    ctx: Asked,
    function: str,
    strategy: str,
    options: dict[str, Any],
    service: str,
    stage: str,
    expires_in: str,
    dry_run: bool,
    confirmation: str,
) -> Approval | Elicit[Approval]:
    """Ask for :func:`hijack_function` where somebody must be asked."""
    if dry_run:
        return Approval(approved=True)
    collector = chat_of(ctx).collector
    await consent.refuse_when_read_only(ctx)
    target, where = await function_meant(collector, function), await service_meant(collector, service) or "*"
    stages = {stage: [{strategy: options}]}
    # What is refused anyway is refused before anybody is asked.
    await collector.post("/api/hijacks", {"target": target, "service": where, "stages": stages}, dry_run="true")
    said = f"put {strategy} {shortened(options, 300)} on {target}" + (f" of {where}" if where != "*" else "")
    said += f" for {expires_in}" if expires_in else ""
    identity = {"options": options, "service": where, "stage": stage}
    return await consent.ask(ctx, [Change(said, identity, where, {stage: [strategy]})], confirmation)


async def hijack_function(
    ctx: Asked,
    approval: Annotated[ElicitationResult[Approval], Resolve(approve_hijack)],
    function: FunctionName,
    strategy: Strategy,
    options: Options = {},  # noqa: B006 - read only
    service: Service = "",
    stage: Stage = "*",
    reason: Reason = "",
    expires_in: Annotated[str, Field(description='end by itself after, e.g. "24h"; empty for the default')] = "",
    dry_run: Annotated[bool, Field(description="only say what would happen, and where; change nothing")] = False,
    confirmation: Confirmation = "",
) -> Annotated[CallToolResult, Hijacked]:
    """Change what a function does; described to models by :data:`HIJACK_DESCRIPTION`."""
    consent.require(approval)
    collector = chat_of(ctx).collector
    fields: dict[str, Any] = {
        "function": await function_meant(collector, function),
        "strategy": strategy,
        "options": options,
        "service": await service_meant(collector, service) or "*",
        "stage": stage,
        "owner": owner_of(ctx),
        "reason": reason,
    }
    if expires_in:
        fields["expires_in"] = expires_in
    if dry_run:
        return await _tried(ctx, fields)
    return await _settled(ctx, await collector.post("/api/functions/hijack", fields, by=fields["owner"]))


HIJACK_DESCRIPTION = (
    """Change what a function of the running service does, now, in every process, with no restart.

Use it for "Add caching to the process_ocr function for 30 minutes":
{"function": "process_ocr", "strategy": "cache", "options": {"ttl": "30m"}};
for "Add logging to all functions but filter out sensitive data":
{"function": "*", "strategy": "log"} (secrets are always redacted inside the service; further names with "redact");
to mock, block, retry, time out or limit calls. The same function, strategy and stage replaces what was there.
Waits until processes have taken it on and returns the hijack with its id, where it is in force, and why not elsewhere.
In production a person is asked first. undo_change or unhijack_function takes it back.
Strategies and their options: """
    + "; ".join(f"{name}({', '.join(options)})" for name, options in STRATEGIES.items())
    + "."
)


async def _tried(ctx: Asked, fields: dict[str, Any]) -> CallToolResult:
    """Answer with what a hijack would do."""
    body: dict[str, Any] = {key: fields[key] for key in ("service", "owner", "reason", "expires_in") if key in fields}
    body["target"] = fields["function"]
    body["stages"] = {fields["stage"]: [{fields["strategy"]: fields["options"]}]}
    found = await chat_of(ctx).collector.post("/api/hijacks", body, dry_run="true")
    refused = [
        f"  {one['function']} in process {process['pid']}: {one['reason']}"
        for process in found["processes"]
        for one in process["matches"]
        if one["outcome"] == "refused"
    ]
    told = {key: found[key] for key in ("summary", "function_count", "attach", "refused")}
    content = Hijacked(pending=False, trial={**told, "functions": found["functions"][:50]})
    return answer([f"Nothing was changed. It would be: {found['summary']}", *refused[:50]], content)


async def settle(ctx: Asked, added: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Wait until every process that can has answered to a hijack, or the patience is over; tell progress.

    Returns:
        (the hijack as it is then, how many processes have not answered).
    """
    collector = chat_of(ctx).collector
    progress = added["progress"]
    with anyio.move_on_after(chat_of(ctx).patience):
        while progress["answered"] + progress["unreachable"] < progress["processes"]:
            done, all_of_them = progress["answered"], progress["processes"]
            await ctx.report_progress(done, all_of_them, f"{progress['summary']}, waiting for the others")
            await anyio.sleep(_EVERY)
            added = await collector.get(f"/api/hijacks/{added['id']}")
            progress = added["progress"]
    return added, progress["processes"] - progress["answered"] - progress["unreachable"]


async def _settled(ctx: Asked, added: dict[str, Any]) -> CallToolResult:
    """Answer with a hijack once it is in force everywhere, or how far it has come."""
    added, waiting = await settle(ctx, added)
    progress, row = added["progress"], row_of(added)
    lines = [shown(row)]
    if waiting > 0:
        lines.append(f'{waiting} processes have not answered yet; ask list_hijacked_functions {{"query": "{row.id}"}}.')
    if not progress["processes"]:
        lines.append("No process that it concerns runs now; it will be in force in those that start.")
    elif not progress["attached"] and not waiting and row.target != EVERYTHING:
        lines.append("No process has such a function loaded yet; check the name with discover_functions.")
    return answer(lines, Hijacked(hijack=row, pending=waiting > 0))


async def list_hijacked_functions(
    ctx: Asked,
    query: Annotated[str, Field(description="only hijacks whose id, target or strategy contains this")] = "",
    stale: Annotated[bool, Field(description="only those to remove or renew: unused, without effect, ending")] = False,
    cursor: Cursor = "",
) -> Annotated[CallToolResult, Hijacks]:
    """List the changes in force: what was changed, by whom, why, until when, and in how many processes it works.

    Use it to see what is hijacked, or to ask again how far a change has come. Example: {"query": "cache"}; {"stale":
    true} lists those that have had their time.
    """
    collector, first = chat_of(ctx).collector, start(cursor)
    found, wanted = await collector.get("/api/hijacks"), query.lower()
    told = {one["hijack"]: one["reasons"] for one in (await collector.get("/api/hijacks/stale"))["stale"]}
    matching = [
        {**one, "stale": [reason["text"] for reason in told.get(one["id"], ())]}
        for one in found["hijacks"]
        if (wanted in f"{one['id']} {one['target']} {hijack_stages(one)}".lower()) and (not stale or one["id"] in told)
    ]
    rows, lines = fitting(map(row_of, matching[first:]), shown)
    upto = following(first, len(rows), len(matching))
    off = sorted(found["off"])
    state = "wait until it is on" if "*" in off else "in force"
    head = f"{len(matching)} hijacks {state}:" if matching else "No hijack is in force."
    content = Hijacks(version=found["version"], hijacks=rows, total=len(matching), cursor=upto, off=off)
    return answer([*switched_off(off), head, *lines, *more(upto)], content)


async def _named(ctx: Asked, function: str, strategy: str) -> list[dict[str, Any]]:
    """Return the hijacks that an id, or a function and maybe a strategy, name.

    Raises:
        ToolError: when there is none, naming what there is.
    """
    collector = chat_of(ctx).collector
    listed = (await collector.get("/api/hijacks"))["hijacks"]
    found = [one for one in listed if one["id"] == function.strip()]
    if not found:
        asked = function.strip()
        ends = [one for one in listed if one["target"].replace(":", ".").endswith(f".{asked}")]
        target = asked if any(one["target"] == asked for one in listed) else ""
        target = target or (ends[0]["target"] if ends else await function_meant(collector, function))
        found = [one for one in listed if one["target"] == target]
    if strategy:
        found = [one for one in found if strategy in {name for names in hijack_stages(one).values() for name in names}]
    if found:
        return found
    there = ", ".join(sorted({one["target"] for one in listed})[:20]) or "none at all"
    raise ToolError(f"{function[:200]!r} has no such hijack; there are: {there}")


async def approve_unhijack(ctx: Asked, function: str, strategy: str, confirmation: str) -> Approval | Elicit[Approval]:
    """Ask for :func:`unhijack_function` where somebody must be asked."""
    await consent.refuse_when_read_only(ctx)
    changes = [
        Change(
            f"take back hijack {one['id']} on {one['target']}", {"id": one["id"]}, one["service"], hijack_stages(one)
        )
        for one in await _named(ctx, function, strategy)
    ]
    return await consent.ask(ctx, changes, confirmation)


async def unhijack_function(
    ctx: Asked,
    approval: Annotated[ElicitationResult[Approval], Resolve(approve_unhijack)],
    function: Annotated[str, Field(description="the hijacked function by any of its names, or the id of a hijack")],
    strategy: Annotated[str, Field(description="only hijacks with this strategy; empty for all of the function")] = "",
    confirmation: Confirmation = "",
) -> Annotated[CallToolResult, Released]:
    """Take hijacks off a function: the very same code as before runs again, in every process.

    Use it for "stop caching process_ocr": {"function": "process_ocr", "strategy": "cache"}
    """
    consent.require(approval)
    gone = []
    for one in await _named(ctx, function, strategy):
        await chat_of(ctx).collector.delete(f"/api/hijacks/{one['id']}", by=owner_of(ctx))
        gone.append(f"{one['id']} on {one['target']}")
    return answer([f"took back {', '.join(gone)}"], Released(removed=[one.partition(" ")[0] for one in gone]))
