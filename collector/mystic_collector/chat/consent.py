"""Whether a change may be made: not in a read-only chat, and in production only when a person agrees."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mcp.server.mcpserver import AcceptedElicitation, Elicit, ElicitationResult
from mcp.server.mcpserver.exceptions import ToolError
from mystic_agent.contract.strategy import OBSERVING
from pydantic import BaseModel, Field

from mystic_collector.chat.captured import line
from mystic_collector.chat.session import Asked, can_ask, chat_of

PRODUCTION = ("production", "prod", "live")
_WINDOW = 900
"""Seconds for which a confirmation holds at least; at most twice that."""


class Approval(BaseModel):
    """What a person is asked."""

    approved: bool = Field(description="Make this change in production?")


@dataclass(frozen=True, slots=True)
class Change:
    """A change that somebody asks for.

    Attributes:
        said: what would happen, as a clause.
        identity: everything that makes it this change and no other.
        service: whose processes it concerns, ``*`` for all.
        stages: strategies by stage, as a hijack has them.
    """

    said: str
    identity: Mapping[str, Any]
    service: str
    stages: Mapping[str, Iterable[str]]


def hijack_stages(hijack: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the strategies' names by stage of a hijack as the API shows it."""
    return {stage: [name for spec in specs for name in spec] for stage, specs in hijack["stages"].items()}


async def refuse_when_read_only(ctx: Asked) -> Mapping[str, Any]:
    """Return the collector's status where changes may be made.

    Raises:
        ToolError: when this chat, or that of the collector behind it, is read-only.
    """
    chat = chat_of(ctx)
    if chat.read_only:
        raise ToolError("this chat is read-only (MYSTIC_CHAT_READ_ONLY): it may look and not change anything")
    status: Mapping[str, Any] = await chat.collector.get("/api/status")
    if status.get("chat_read_only"):
        raise ToolError("the collector's chat is read-only (MYSTIC_CHAT_READ_ONLY); nothing was changed")
    return status


async def ask(ctx: Asked, changes: Iterable[Change], confirmation: str) -> Approval | Elicit[Approval]:
    """Return the approval of ``changes``, or the question to put to a person.

    Raises:
        ToolError: when the chat is read-only; or when somebody must be asked and the client cannot, with the
            confirmation to give once its user has agreed.
    """
    changes = list(changes)
    status = await refuse_when_read_only(ctx)
    concerned = [one for change in changes for one in _in_production(change, status["processes"])]
    if not concerned:
        return Approval(approved=True)
    codes = _codes(ctx, changes)
    if confirmation and any(hmac.compare_digest(confirmation.encode(), code.encode()) for code in codes):
        return Approval(approved=True)
    said = line("; ".join(change.said for change in changes), 1_000)
    where = ", ".join(sorted(set(concerned)))[:500]
    if can_ask(ctx):
        return Elicit(f"Mystic is asked to {said}. This changes behaviour in production: {where}.", Approval)
    raise ToolError(
        f"nothing was changed: to {said} changes behaviour in production ({where}), and this client cannot show its "
        "user a question. Ask the user. If they agree, call again with the same arguments and "
        f'confirmation="{codes[0]}"'
    )


def require(outcome: ElicitationResult[Approval]) -> None:
    """Raise ToolError unless a person, or the stage, has agreed."""
    if not isinstance(outcome, AcceptedElicitation) or not outcome.data.approved:
        raise ToolError("the user did not agree; nothing was changed")


def _in_production(change: Change, processes: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return where in production behaviour would change: in which processes, or in those to come of a stage named."""
    found = []
    for one in processes:
        strategies = set(change.stages.get(one["stage"], change.stages.get("*", ())))
        if _live(one["stage"]) and change.service in ("*", one["service"]) and strategies - OBSERVING:
            found.append(f"{line(one['service'], 60)} (process {one['pid']})")
    named = [stage for stage, strategies in change.stages.items() if _live(stage) and set(strategies) - OBSERVING]
    return found or [f"every process of the stage {stage}" for stage in named]


def _live(stage: str) -> bool:
    return stage.lower() in PRODUCTION


def _codes(ctx: Asked, changes: Iterable[Change]) -> list[str]:
    """Return the confirmations that hold now, the present one first; each is of exactly these changes."""
    chat = chat_of(ctx)
    now = int(chat.clock() // _WINDOW)
    shown = json.dumps([[change.said, change.identity] for change in changes], sort_keys=True, default=str)
    texts = [f"{window}\n{shown}".encode() for window in (now, now - 1)]
    return [hmac.new(chat.secret, text, hashlib.sha256).hexdigest()[:10] for text in texts]
