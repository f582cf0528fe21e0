"""A collector that keeps five thousand functions and a hundred thousand spans."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.collector.conftest import Running, running
from tests.collector.messages import START, duration, metrics, span, traces

FUNCTIONS, TRACES, SPANS = 5_000, 1_000, 100


def name(number: int) -> str:
    """Return the name of one of the functions."""
    return f"shop.module_{number % 50}:function_{number:04}"


@contextmanager
def crowd(folder: Path) -> Iterator[Running]:
    """Yield it, with everything written."""
    with running(folder, servers="off", retention_seconds=1e10) as found:
        points = [duration(name(i), {20 + i % 5: i + 1}) for i in range(FUNCTIONS)]
        assert found.otlp("/v1/metrics", metrics(*points)).status_code == 200
        for batch in range(TRACES // 20):
            spans = []
            for number in range(20):
                trace, at = secrets.token_bytes(16), START + (batch * 20 + number) * 10**9
                root = span(name(0), trace=trace, start=at, duration=10**8)
                inner = (
                    span(name(i), trace=trace, parent=root.span_id, start=at + i * 10**6, duration=9 * 10**5)
                    for i in range(1, SPANS)
                )
                spans += [root, *inner]
            assert found.otlp("/v1/traces", traces(*spans)).status_code == 200
            found.settle()
        yield found
