"""Take the last change back."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver import Elicit, ElicitationResult, Resolve
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


class Undone(Answer):
    """What was, or would be, brought back."""

    to: int = Field(description="the version whose hijacks are in force again")
    version: int = Field(description="the present version")
    dry_run: bool
    changes: list[dict[str, Any]] = Field(description="what differs, hijack by hijack")
    left_out: list[str] = Field(default=[], description="what could not be brought back, and why")


async def _tried(ctx: Asked, version: int | None) -> dict[str, Any]:
    body = {} if version is None else {"to": version}
    found: dict[str, Any] = await chat_of(ctx).collector.post("/api/hijacks/undo", body, dry_run="true")
    return found


async def approve_undo(
    ctx: Asked, version: int | None, dry_run: bool, confirmation: str
) -> Approval | Elicit[Approval]:
    """Ask for :func:`undo_change` where somebody must be asked."""
    if dry_run:
        return Approval(approved=True)
    await consent.refuse_when_read_only(ctx)
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


async def undo_change(
    ctx: Asked,
    approval: Annotated[ElicitationResult[Approval], Resolve(approve_undo)],
    version: Version = None,
    dry_run: Annotated[bool, Field(description="only say what would change")] = False,
    confirmation: Confirmation = "",
) -> Annotated[CallToolResult, Undone]:
    """Take the last change of hijacks back, or return to an earlier version of all of them.

    Use it for "undo that" or "put it back as it was". Undoing is itself a change that can be undone. Example: {}
    """
    consent.require(approval)
    found = await _tried(ctx, version)
    if not dry_run:
        collector = chat_of(ctx).collector
        # What was shown is what is done: if somebody else was faster, the collector refuses.
        found = await collector.post("/api/hijacks/undo", {"to": found["to"]}, by=owner_of(ctx), seen=found["version"])
    undone = Undone.model_validate(found)
    verb = "Undoing would bring" if dry_run else "Brought"
    head = f"{verb} version {undone.to} back:" if undone.changes else "Nothing differs; nothing was changed."
    return answer([head, found["text"]], undone)
