"""What was read of segments lately. Segments never change, and whoever looks at traces looks at the newest again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Container, Mapping, Sequence

from mystic_collector.otlp.spans import brief_rows, spans_in
from mystic_collector.store.records import SpanRow

MOST_SPANS = 20_000
"""Kept at most over all segments, some ten megabytes."""

Segment = Mapping[bytes, Sequence[SpanRow]]
"""Trace id → its spans of one segment in brief, as they came."""


class Decoded:
    """The segments read last, found by their body, so that it is all the same who keeps them.

    Args:
        most: spans kept over all segments.
    """

    def __init__(self, most: int = MOST_SPANS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._known: OrderedDict[bytes, tuple[Segment, int]] = OrderedDict()
        self._spans = 0

    def known(self, body: bytes) -> Segment | None:
        """Return a segment that was read lately, or nothing."""
        with self._lock:
            found = self._known.get(body)
            if found is None:
                return None
            self._known.move_to_end(body)
            return found[0]

    def read(self, body: bytes, wanted: Container[bytes]) -> Segment:
        """Return at least the wanted traces of a segment.

        It is read as a whole and kept when most of it is wanted. What has not been looked at for longest makes room.
        """
        with self._reading:  # the parts of a page ask at once for the same: one reads, the others have it then
            return self.known(body) or self._read(body, wanted)

    def _read(self, body: bytes, wanted: Container[bytes]) -> Segment:
        spans = list(spans_in(body))
        asked = [span for span in spans if span.trace_id in wanted]
        whole = 2 * len(asked) >= len(spans)
        traces: dict[bytes, list[SpanRow]] = {}
        for row in brief_rows(spans if whole else asked):
            traces.setdefault(row.trace_id, []).append(row)
        if whole and len(spans) <= self._most:
            self._keep(body, traces, len(spans))
        return traces

    def _keep(self, body: bytes, traces: Segment, size: int) -> None:
        with self._lock:
            if body not in self._known:
                self._known[body] = traces, size
                self._spans += size
            while self._spans > self._most:
                _, (_, gone) = self._known.popitem(last=False)
                self._spans -= gone
