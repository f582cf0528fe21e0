"""A batch of records as payloads of a size that any receiver takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from mystic_agent.otlp import encode_logs, encode_metrics, encode_spans
from mystic_agent.outbox import LOGS, METRICS, SPANS, Payload
from mystic_agent.records import Count, Event, Reading, SpanRecord

MOST_SPANS = 512
MOST_READINGS = 5000
MOST_BYTES = 2**20  # before compression
_R = TypeVar("_R")
_GZIP = 31  # window bits that make zlib write gzip's header, without the import of gzip


def pack_spans(resource: bytes, spans: Sequence[SpanRecord]) -> Iterator[Payload]:
    """Yield ``spans`` in order, at most MOST_SPANS in each payload, fewer when they are large."""
    for at in range(0, len(spans), MOST_SPANS):
        yield from _halved(SPANS, encode_spans, resource, spans[at : at + MOST_SPANS])


def pack_events(resource: bytes, events: Sequence[Event]) -> Iterator[Payload]:
    """Yield ``events`` in order, as many in each payload as spans."""
    for at in range(0, len(events), MOST_SPANS):
        yield from _halved(LOGS, encode_logs, resource, events[at : at + MOST_SPANS])


def _halved(
    kind: str, encode: Callable[[bytes, Sequence[_R]], bytes], resource: bytes, records: Sequence[_R]
) -> Iterator[Payload]:
    body = encode(resource, records)
    if len(body) > MOST_BYTES and len(records) > 1:
        middle = len(records) // 2
        yield from _halved(kind, encode, resource, records[:middle])
        yield from _halved(kind, encode, resource, records[middle:])
    else:
        yield Payload(kind, compress(body), len(records))


def pack_metrics(
    resource: bytes,
    readings: Sequence[Reading],
    counts: Sequence[Count],
    *,
    generation: int,
    start_ns: int,
    now_ns: int,
) -> list[Payload]:
    """Return one collection of metrics, in parts of at most MOST_READINGS functions; the first holds the counts."""
    payloads: list[Payload] = []
    for at in range(0, max(len(readings), 1), MOST_READINGS):
        part = readings[at : at + MOST_READINGS]
        if not part and not counts:
            continue
        body = encode_metrics(resource, part, () if at else counts, start_ns=start_ns, now_ns=now_ns)
        payloads.append(Payload(METRICS, compress(body), len(part), generation))
    return payloads


def compress(body: bytes) -> bytes:
    """Return ``body`` in gzip's format, at the level that costs least."""
    import zlib

    deflate = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
    return deflate.compress(body) + deflate.flush()


def plain(compressed: bytes) -> bytes:
    """Return what :func:`compress` was given."""
    import zlib

    return zlib.decompress(compressed, _GZIP)
