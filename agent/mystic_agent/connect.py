"""Puts the link between an agent and its collector together."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from mystic_agent.agent import Agent
from mystic_agent.guard import guard
from mystic_agent.link import Endpoint, Link, OtlpUrls, otlp_urls
from mystic_agent.otlp import encode_resource
from mystic_agent.outbox import Outbox


def connect(agent: Agent) -> Link:
    """Return the started link of this process.

    Raises:
        RuntimeError: when the interpreter starts no more threads.
    """
    settings, outbox = agent.settings, Outbox()
    receivers = otlp_urls(os.environ) if settings.exporter == "otlp" else OtlpUrls()
    agent.warnings = (*settings.warnings, *receivers.warnings)
    agent.dropped = lambda: _dropped(agent, outbox)
    endpoint = Endpoint(
        settings.host,
        settings.port,
        api_key=settings.api_key,
        service=settings.service,
        instance=agent.instance,
        stage=settings.stage,
        receivers=receivers.receivers,
    )
    link = Link(
        endpoint,
        collect=agent.collect,
        report=agent.report,
        apply=agent.apply,
        resource=encode_resource(agent.resource()),
        start_ns=agent.start_ns,
        outbox=outbox,
        interval=settings.interval,
        on_fault=guard.note,
        forward=_forward(agent),
    )
    link.start()
    agent.threads.update(link.identities())
    return link


def _forward(agent: Agent) -> Callable[[Any], None] | None:
    if agent.settings.exporter != "otel":
        return None
    from mystic_agent.forward_otel import Forward

    return Forward(agent.resource(), agent.start_ns)


def _dropped(agent: Agent, outbox: Outbox) -> dict[str, int]:
    counts = dict(outbox.dropped)
    if agent.shelf is not None and agent.shelf.dropped:
        counts["cache_entries"] = agent.shelf.dropped
    if agent.archive.dropped:
        counts["recordings"] = agent.archive.dropped
    if agent.tracer.dropped:
        counts["spans"] = counts.get("spans", 0) + agent.tracer.dropped
    if agent.attachments.events.dropped:
        counts["logs"] = counts.get("logs", 0) + agent.attachments.events.dropped
    return counts
