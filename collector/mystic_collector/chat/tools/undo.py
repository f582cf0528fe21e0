"""Take the last change back, or let go of everything."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Elicit, ElicitationResult, Resolve
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult
from pydantic import Field

from mystic_collector.chat import consent
from mystic_collector.chat.answer import Answer, answer
from mystic_collector.chat.consent import Approval, Change, hijack_stages
from mystic_collector.chat.session import Asked, chat_of, owner_of
from mystic_collector.chat.tools.parameters import Confirmation

Version = Annotated[
    int | None,
    Field(description="bring back the hijacks as they were at this version; leave it out for the last change", ge=0),
]
Everything = Annotated[
    Literal["", "off", "on"],
    Field(
        description="off: the kill switch; every function runs as it was written, in every process, until it is "
        "switched on; on: end that. Empty for an undo"
    ),
]


class Undone(Answer):
    """What was, or would be, brought back."""

    to: int = Field(description="the version whose hijacks are in force again")
    version: int = Field(description="the present version")
    dry_run: bool
    changes: list[dict[str, Any]] = Field(description="what differs, hijack by hijack")
    left_out: list[str] = Field(default=[], description="what could not be brought back, and why")
    off: list[str] = Field(default=[], description="after the kill switch: services in which all is off; * for all")


async def _tried(ctx: Asked, version: int | None) -> dict[str, Any]:
    body = {} if version is None else {"to": version}
    found: dict[str, Any] = await chat_of(ctx).collector.post("/api/hijacks/undo", body, dry_run="true")
    return found


async def approve_undo(
    ctx: Asked, version: int | None, everything: str, dry_run: bool, confirmation: str
) -> Approval | Elicit[Approval]:
    """Ask for :func:`undo_change` where somebody must be asked."""
    if dry_run:
        return Approval(approved=True)
    await consent.refuse_when_read_only(ctx)
    if everything:
        listed = (await chat_of(ctx).collector.get("/api/hijacks"))["hijacks"]
        return await consent.ask(ctx, [_switching(one, everything) for one in listed], confirmation)
    changes = []
    for one in (await _tried(ctx, version))["changes"]:
        fields = {field["field"]: field for field in one["fields"]}
        stages = fields.get("stages", {})
        service = fields.get("service", {})
        for side in ("before", "after"):
            said = f"undo: {one['change']} hijack {one['hijack']} on {one['target']}"
            named = service.get(side) or service.get("before") or service.get("after") or "*"
            changes.append(Change(said, one, named, hijack_stages({"stages": stages.get(side) or {}})))
    return await consent.ask(ctx, changes, confirmation)


def _switching(hijack: dict[str, Any], everything: str) -> Change:
    verb = "let go of" if everything == "off" else "put in force again"
    said = f"{verb} hijack {hijack['id']} on {hijack['target']}"
    return Change(said, {"id": hijack["id"], "everything": everything}, hijack["service"], hijack_stages(hijack))


async def undo_change(
    ctx: Asked,
    approval: Annotated[ElicitationResult[Approval], Resolve(approve_undo)],
    version: Version = None,
    everything: Everything = "",
    dry_run: Annotated[bool, Field(description="only say what would change")] = False,
    confirmation: Confirmation = "",
) -> Annotated[CallToolResult, Undone]:
    """Take the last change of hijacks back, return to an earlier version of all of them, or let go of them all at once.

    Use it for "undo that" or "put it back as it was": {}; undoing is itself a change that can be undone. For "switch
    Mystic off", when something is wrong and nobody knows what: {"everything": "off"}, and later {"everything": "on"}.
    """
    consent.require(approval)
    if everything:
        return await _switched(ctx, version, everything, dry_run)
    found = await _tried(ctx, version)
    if not dry_run:
        collector = chat_of(ctx).collector
        # What was shown is what is done: if somebody else was faster, the collector refuses.
        found = await collector.post("/api/hijacks/undo", {"to": found["to"]}, by=owner_of(ctx), seen=found["version"])
    undone = Undone.model_validate(found)
    verb = "Undoing would bring" if dry_run else "Brought"
    head = f"{verb} version {undone.to} back:" if undone.changes else "Nothing differs; nothing was changed."
    return answer([head, found["text"]], undone)


async def _switched(ctx: Asked, version: int | None, everything: str, dry_run: bool) -> CallToolResult:
    """Answer with everything off or on, or with what that would concern."""
    if version is not None:
        raise ToolError(f"version {version} and everything={everything!r} are two changes; give one of them")
    collector = chat_of(ctx).collector
    listed = await collector.get("/api/hijacks")
    lines = [f"  {one['id']} on {one['target']}" for one in listed["hijacks"]]
    if not dry_run:
        reason = {"reason": f"{everything} by chat"}
        listed = {**listed, **await collector.post(f"/api/{everything}", reason, by=owner_of(ctx))}
    off, at = sorted(listed["off"]), listed["version"]
    heads = {
        "off": 'Everything is off: all functions run as they were written, until undo_change {"everything": "on"}.',
        "on": "Everything is on; these changes are in force:" if lines else "Everything is on; no change is kept.",
    }
    head = f"Nothing was changed. Switching everything {everything} would concern:" if dry_run else heads[everything]
    return answer([head, *lines[:100]], Undone(to=at, version=at, dry_run=dry_run, changes=[], off=off))
