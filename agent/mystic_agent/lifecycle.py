"""Start, stop, fork and exit of the agent in a process: the only authority over their order."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mystic_agent.guard import guard

if TYPE_CHECKING:
    from mystic_agent.agent import Agent
    from mystic_agent.link import Link
    from mystic_agent.outbox import Outbox
    from mystic_agent.settings import Settings

FLUSH_SECONDS = 0.8
STOP_SECONDS = 1.0


class _Running:
    """The agent of this process with its link, or what is left to undo of it."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.link: Link | None = None
        self.outbox: Outbox | None = None
        self.held = False


_running: _Running | None = None
_forks_watched = False


def active() -> bool:
    """True while the agent runs in this process."""
    return _running is not None


def current() -> Agent | None:
    """Return the agent of this process, or None."""
    return _running.agent if _running is not None else None


def start(settings: Settings, way: str) -> bool:
    """Start the agent in this process; True when it runs, also when it already did.

    Args:
        settings: read once, see :func:`mystic_agent.settings.load`.
        way: how it was asked for; shown to people.
    """
    global _running
    if _running is not None:
        return True
    if settings.enabled is False:
        return False
    from mystic_agent.agent import Agent

    agent = Agent(settings, way)
    _running = _Running(agent)
    agent.open()
    _watch_forks()
    _connect(_running)
    atexit.register(_at_exit)
    return True


def stop() -> None:
    """Stop the agent and leave nothing of it on any call, import or thread; the last figures are sent first."""
    global _running
    if _running is None:
        return
    running, _running = _running, None
    atexit.unregister(_at_exit)
    _part(running)
    running.agent.close()


def flush(timeout: float = FLUSH_SECONDS) -> bool:
    """Send what has been counted so far; True when every receiver took it within ``timeout`` seconds."""
    if _running is None or _running.link is None:
        return False
    return guard.run("flush", _running.link.flush, False, timeout)


def _connect(running: _Running) -> None:
    from mystic_agent.link import Endpoint, Link, OtlpUrls, otlp_urls
    from mystic_agent.otlp import encode_resource
    from mystic_agent.outbox import Outbox

    agent, settings = running.agent, running.agent.settings
    running.outbox = Outbox()
    receivers = otlp_urls(os.environ) if settings.exporter == "otlp" else OtlpUrls("", "", (), ())
    agent.warnings = (*settings.warnings, *receivers.warnings)
    agent.dropped = lambda outbox=running.outbox: _dropped(agent, outbox)  # type: ignore[misc]
    endpoint = Endpoint(
        settings.host,
        settings.port,
        api_key=settings.api_key,
        service=settings.service,
        instance=agent.instance,
        stage=settings.stage,
        receivers=receivers.receivers,
    )
    running.link = Link(
        endpoint,
        collect=agent.collect,
        report=agent.report,
        apply=agent.apply,
        resource=encode_resource(agent.resource()),
        start_ns=agent.start_ns,
        outbox=running.outbox,
        interval=settings.interval,
        on_fault=guard.note,
        forward=_forward(settings, agent),
    )
    guard.run("link.start", running.link.start, None)
    agent.threads.update(running.link.identities())


def _forward(settings: Settings, agent: Agent) -> Callable[[Any], None] | None:
    if settings.exporter != "otel":
        return None
    from mystic_agent.forward_otel import Forward

    return Forward(agent.resource(), agent.start_ns)


def _dropped(agent: Agent, outbox: Outbox) -> dict[str, int]:
    counts = dict(outbox.dropped)
    if agent.tracer.dropped:
        counts["spans"] = counts.get("spans", 0) + agent.tracer.dropped
    return counts


def _part(running: _Running) -> None:
    link, running.link = running.link, None
    if link is not None:
        guard.run("link.flush", link.flush, False, FLUSH_SECONDS)
        guard.run("link.stop", link.stop, None, STOP_SECONDS - FLUSH_SECONDS)


def _at_exit() -> None:
    """The last of the application's exit functions, because it was registered first: one more flush, bounded."""
    if _running is not None:
        _part(_running)


# -- forks -------------------------------------------------------------------------------------------


def _watch_forks() -> None:
    global _forks_watched
    if not _forks_watched:
        _forks_watched = True
        os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)


def _before_fork() -> None:
    if _running is not None:
        from mystic_agent import link

        guard.run("fork", link.hold, False)


def _after_in_parent() -> None:
    if _running is not None:
        from mystic_agent import link

        guard.run("fork", link.let_go, None)


def _after_in_child() -> None:
    if _running is not None:
        guard.run("fork", _begin_anew, None, _running)


def _begin_anew(running: _Running) -> None:
    from mystic_agent import link

    old, running.link = running.link, None
    if old is not None:
        old.abandon()
    link.renew()
    running.agent.after_fork()
    _connect(running)
    # multiprocessing ends its children with os._exit, past atexit, but runs its own finalizers before.
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.register_after_fork(running, _flush_before_exit)


def _flush_before_exit(running: _Running) -> None:
    util: Any = sys.modules["multiprocessing.util"]
    util.Finalize(running, _at_exit, exitpriority=-1000)
