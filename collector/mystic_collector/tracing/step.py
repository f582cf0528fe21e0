"""Parts of the work on one request, wherever in the collector they are done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

at_work: ContextVar[Tracer | None] = ContextVar("mystic_tracer", default=None)
"""Who traces the present request; None when nobody does."""


@contextmanager
def step(name: str, **attributes: str | int) -> Iterator[Span | None]:
    """Trace what is done inside, as a part of the present request; without one this does nothing.

    Args:
        attributes: their names with ``__`` for a dot.
    """
    tracer = at_work.get()
    if tracer is None:
        yield None
        return
    named = {key.replace("__", "."): value for key, value in attributes.items()}
    with tracer.start_as_current_span(name, attributes=named) as span:
        yield span


def context_headers() -> dict[str, str]:
    """Return the headers (W3C Trace Context) by which another process continues the present trace."""
    if at_work.get() is None:
        return {}
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier
