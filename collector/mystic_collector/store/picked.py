"""Which spans of segments are meant, whatever keeps the segments; they are read with the OTLP reader."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import replace

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from mystic_collector.otlp.spans import function_of, is_error, row_of, spans_in
from mystic_collector.store.decoded import Decoded
from mystic_collector.store.records import SpanQuery, SpanRow, StoredSpan

MOST_SPANS = 10_000
"""Spans of one trace that are returned at most."""

_MOST_EXAMINED = 500_000
"""Spans looked through for one query at most; older ones are not found."""

_AHEAD = 4
"""Errors looked at for each one asked for."""

_FAILED = 2
_lately = Decoded()


def matching_traces(segments: Iterable[tuple[bytes, int]], query: SpanQuery) -> list[bytes]:
    """Return ids of the newest traces with a matching span.

    Args:
        segments: (body, how many spans), newest first; only as many are taken as are needed.
    """
    found: dict[bytes, None] = {}
    examined = 0
    for body, count in segments:
        for trace_id in _matching(body, query):
            found[trace_id] = None
            if len(found) >= query.limit:
                return list(found)
        examined += count
        if examined > _MOST_EXAMINED:
            break
    return list(found)


def failures(segments: Iterable[tuple[str, str, bytes, int]], query: SpanQuery) -> list[StoredSpan]:
    """Return matching spans that ended in an error, newest first.

    Requests come nearly in order of time, so that more than what is asked for is looked at before it is sorted.

    Args:
        segments: (service, instance, body, how many spans), newest first; only as many are taken as are needed.
    """
    found: dict[bytes, StoredSpan] = {}
    examined = 0
    query = replace(query, errors=True)
    for service, instance, body, count in segments:
        for span in spans_in(body):
            if _meets(span, query):
                found[span.span_id] = StoredSpan(service, instance, row_of(span))
        examined += count
        if len(found) >= _AHEAD * query.limit or examined > _MOST_EXAMINED:
            break
    return sorted(found.values(), key=lambda one: one.span.start_ns, reverse=True)


def traces(
    segments: Iterable[tuple[str, str, bytes]], ids: Sequence[bytes], brief: bool = False
) -> list[list[StoredSpan]]:
    """Return the spans of each of the traces by start.

    Neighbours in time share segments, and reading a segment costs the most: each is read once for all of them.

    Args:
        segments: (service, instance, body), oldest first.
    """
    found: dict[bytes, dict[bytes, StoredSpan]] = {one: {} for one in ids}
    for service, instance, body in segments:
        for row in _rows_of(body, found) if brief else _whole_rows_of(body, found):
            spans = found[row.trace_id]
            if len(spans) < MOST_SPANS:
                spans[row.span_id] = StoredSpan(service, instance, row)  # a repeated request: once
    return [sorted(spans.values(), key=lambda one: one.span.start_ns) for spans in found.values()]


def _rows_of(body: bytes, wanted: Container[bytes]) -> Iterator[SpanRow]:
    """Yield the spans of the traces that are wanted, in brief."""
    for trace_id, rows in _lately.read(body, wanted).items():
        if trace_id in wanted:
            yield from rows


def _whole_rows_of(body: bytes, wanted: Container[bytes]) -> Iterator[SpanRow]:
    return (row_of(span) for span in spans_in(body) if span.trace_id in wanted)


def _matching(body: bytes, query: SpanQuery) -> Iterator[bytes]:
    """Yield trace ids of matching spans of one segment, newest first."""
    known = _lately.known(body)
    if known is not None:
        met = ((_newest(rows, query), trace_id) for trace_id, rows in known.items())
        found = [one for one in met if one[0] >= 0]
    else:
        found = [(span.start_time_unix_nano, span.trace_id) for span in spans_in(body) if _meets(span, query)]
    for _, trace_id in sorted(found, reverse=True):
        yield trace_id


def _meets(span: Span, query: SpanQuery) -> bool:
    duration = span.end_time_unix_nano - span.start_time_unix_nano
    too_short = query.min_duration_ns and duration < query.min_duration_ns
    if too_short or (query.errors and not is_error(span)):
        return False
    if not query.since_ns <= span.start_time_unix_nano <= query.until_ns:
        return False
    # The name decides quickly; the attribute tells a:b.c from a.b:c.
    ours = span.name == query.function.replace(":", ".") and function_of(span) in ("", query.function)
    return ours or query.function in ("", span.name)


def _newest(rows: Sequence[SpanRow], query: SpanQuery) -> int:
    """Return when the newest began of the spans of a trace that meet the same, read before; -1 when none does."""
    if query.function:
        names = (query.function, query.function.replace(":", "."))
        rows = [row for row in rows if row.name in names]
        rows = [row for row in rows if row.name == query.function or row.function in ("", query.function)]
    if query.errors:
        rows = [row for row in rows if row.status == _FAILED]
    if query.min_duration_ns:
        rows = [row for row in rows if row.end_ns - row.start_ns >= query.min_duration_ns]
    return max((row.start_ns for row in rows if query.since_ns <= row.start_ns <= query.until_ns), default=-1)
