"""A sampled call while it runs, and where a thread of a context is inside a trace. Pure data.

Parents: each context (task, thread) that is inside a sampled trace has a Place in a context variable. Synchronous
calls nest strictly inside a thread, so they push and pop on the Place, which is much cheaper than setting the
variable. Coroutines interleave, so each sampled one sets a Place of its own. A Place met in another thread than its
own (a copied context, as executors make) is replaced there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from mystic_agent.records import Attribute

SPANS_PER_TRACE = 2000

# Spans and places are lists, because nothing is cheaper to make. Trampolines write them in these orders:
# [parent span, meter, the application's own span around it, trace, what is rare, elapsed ns, start]
PARENT, METER, OUTSIDE, TRACE, RARE, ELAPSED, START = range(7)
Span = list[Any]


class Trace:
    """One sampled trace: its id, its budget of spans, and where those that end are kept.

    Args:
        trace_id: 16 bytes.
        started: ``perf_counter_ns`` of its root.
        ended: takes each span that has ended.
    """

    __slots__ = ("ended", "id", "left", "open", "started")

    def __init__(self, trace_id: bytes, started: int, ended: Callable[[Span], None]) -> None:
        self.id = trace_id
        self.ended = ended
        self.left = SPANS_PER_TRACE
        self.open = True
        self.started = started


# Where one thread of one context is: [running span or None, thread, trace, owner]. The owner is the identity of the
# thread that may use it; `thread` is the same for trampolines, or 0 when every call has to take the long way.
CURRENT, THREAD, OF, OWNER = range(4)
Place = list[Any]


class Rare:
    """What few spans have.

    Attributes:
        id: given when somebody first needs it.
        error: (type, message), redacted.
        attributes: redacted.
    """

    __slots__ = ("attributes", "error", "id")

    def __init__(self) -> None:
        self.id = b""
        self.error: tuple[str, str] | None = None
        self.attributes: tuple[Attribute, ...] = ()


place_now: ContextVar[Place | None] = ContextVar("mystic_place", default=None)
"""Where the running code is; None outside of every sampled trace."""


def rare(span: Span) -> Rare:
    """Return the Rare of ``span``, made when there is none."""
    if span[RARE] is None:
        span[RARE] = Rare()
    return span[RARE]  # type: ignore[no-any-return]


def span_id(span: Span) -> bytes:
    """Return the 8 bytes by which others refer to ``span``."""
    extra = rare(span)
    if not extra.id:
        extra.id = os.urandom(8)
    return extra.id
