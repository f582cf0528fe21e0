"""What becomes of a finished span on the agent's thread: collected, and encoded as OTLP beside the official encoder."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from statistics import median
from time import thread_time_ns, time_ns
from typing import Any

from mystic_agent.observe.trace import Tracer
from mystic_agent.otlp import encode_resource, encode_spans
from mystic_agent.records import SpanRecord

from bench import own
from bench.figure import Figure, Target
from bench.subject import fresh

SPANS = 512
ROUNDS = 15
RESOURCE = (("service.name", "shop"), ("service.instance.id", "a1b2c3d4"), ("process.pid", 4711))
TITLE = f"A finished span on the exporting thread, batches of {SPANS}"


def records(spans: int = SPANS) -> list[SpanRecord]:
    """Return spans as an application makes them: traces of four, forty functions, some with attributes."""
    made: list[SpanRecord] = []
    now = time_ns()
    for number in range(spans):
        first = number % 4 == 0
        trace = os.urandom(16) if first else made[-1].trace_id
        parent = b"" if first else made[-1].span_id
        extra = (("mystic.cache", "miss"), ("shop.items", number % 7)) if number % 4 == 3 else ()
        name = f"app.orders:Orders.step_{number % 40}"
        made.append(SpanRecord(name, trace, os.urandom(8), parent, now, now + 1000 + number, None, extra))
    return made


def figures() -> list[Figure]:
    """Measure; microseconds of CPU time per span."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans as official

    ours, theirs, resource = records(), _readable(records()), encode_resource(RESOURCE)
    us = _median(lambda: encode_spans(resource, ours))
    them = _median(lambda: official(theirs).SerializeToString())
    return [
        Figure(TITLE, "Mystic, OTLP encoding", us, "µs", Target(2, "µs")),
        Figure(TITLE, "official OTLP encoding, serialised", them, "µs", None, them / us, "× Mystic"),
        Figure(TITLE, "Mystic, collecting before it", _collecting(), "µs"),
    ]


def _collecting() -> float:
    tracer = Tracer(float("inf"))
    tracer.arm(1.0)
    root, f = own.root_of("function", tracer), own.hooked(fresh("function"), tracer)
    taken = []
    for _ in range(ROUNDS + 1):
        root(lambda: [f(1, 2) for _ in range(SPANS - 1)])
        began = thread_time_ns()
        spans = len(tracer.collect())
        taken.append((thread_time_ns() - began) / spans / 1000)
    return median(taken[1:])  # the first calls of a function are kept in another way


def _median(work: Callable[[], object]) -> float:
    work()
    taken = []
    for _ in range(ROUNDS):
        began = thread_time_ns()
        work()
        taken.append((thread_time_ns() - began) / SPANS / 1000)
    return median(taken)


def _readable(spans: Sequence[SpanRecord]) -> list[Any]:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, TraceFlags

    def context(span: SpanRecord, identity: bytes) -> SpanContext:
        trace = int.from_bytes(span.trace_id, "big")
        return SpanContext(trace, int.from_bytes(identity, "big"), False, TraceFlags(1))

    resource, scope = Resource(dict(RESOURCE)), InstrumentationScope("bench", "1")
    return [
        ReadableSpan(
            name=span.function,
            context=context(span, span.span_id),
            parent=context(span, span.parent_id) if span.parent_id else None,
            resource=resource,
            attributes={"code.function.name": span.function, "mystic.function": span.function} | dict(span.attributes),
            start_time=span.start_ns,
            end_time=span.end_ns,
            instrumentation_scope=scope,
        )
        for span in spans
    ]
