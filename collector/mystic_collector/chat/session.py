"""What the tools of one server share, and who speaks to them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver import Context

from mystic_collector.chat.calls import Calls
from mystic_collector.chat.captured import line
from mystic_collector.chat.collector import Collector


@dataclass(frozen=True, slots=True)
class Chat:
    """What a tool works with.

    Attributes:
        collector: whom it asks.
        read_only: nothing may be changed.
        secret: of this server's confirmations.
        clock: Unix seconds.
        patience: seconds to wait for processes to take a change on; clients give a call up after thirty.
        calls: those of other servers' tools that take longer.
    """

    collector: Collector
    read_only: bool = False
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    clock: Callable[[], float] = time.time
    patience: float = 15.0
    calls: Calls = field(default_factory=Calls, repr=False)


Asked = Context[Chat, Any]
"""The context of a call."""


def chat_of(ctx: Asked) -> Chat:
    """Return what the tools of this server share."""
    return ctx.request_context.lifespan_context


def owner_of(ctx: Asked) -> str:
    """Return who asks, for audits: the client's name, after the subject of its token where it has one."""
    params = ctx.session.client_params
    client = line(params.client_info.name, 100) if params is not None else ""
    token = get_access_token()
    subject = line(token.subject or "", 100) if token is not None else ""
    return " via ".join(part for part in (subject, client or "an unnamed MCP client") if part)


def can_ask(ctx: Asked) -> bool:
    """Return whether the client can show its user a form."""
    capabilities = ctx.client_capabilities
    elicitation = capabilities.elicitation if capabilities is not None else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)
