"""What a page asks again and again is not read again and again, and is the same as what was read first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mystic_collector.otlp.spans import survey
from mystic_collector.store.decoded import Decoded
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

from tests.collector.conftest import running
from tests.collector.messages import START, duration, metrics, span, traces


def _segment(first: int, many: int) -> bytes:
    spans = [span("shop:buy", trace=bytes([first + i]) * 16, start=START + i) for i in range(many)]
    return survey(ResourceSpans(scope_spans=[ScopeSpans(spans=spans)]))[0].body


def test_a_segment_is_read_once_and_makes_room_for_newer_ones() -> None:
    decoded = Decoded(most=5)
    one, other = _segment(1, 3), _segment(9, 3)
    everything = {bytes([number]) * 16 for number in range(1, 20)}
    read = decoded.read(one, everything)
    assert len(read) == 3
    assert decoded.read(one, everything) is read
    decoded.read(other, everything)
    assert decoded.known(other) is not None
    assert decoded.known(one) is None


def test_of_a_segment_that_is_hardly_wanted_only_that_is_read_and_nothing_kept() -> None:
    decoded = Decoded()
    body = _segment(1, 5)
    assert list(decoded.read(body, {bytes([2]) * 16})) == [bytes([2]) * 16]
    assert decoded.known(body) is None


def test_answers_are_the_same_from_memory_and_new_after_a_write(tmp_path: Path) -> None:
    with running(tmp_path, servers="off", retention_seconds=1e10) as found:
        found.otlp("/v1/metrics", metrics(duration("shop:buy", {20: 3}), duration("shop:sell", {21: 1})))
        found.otlp(
            "/v1/traces", traces(*(span("shop:buy", trace=bytes([i]) * 16, start=START + i) for i in range(1, 9)))
        )
        found.settle()
        few = {"function": "shop:buy", "limit": 3}
        asked: tuple[tuple[str, dict[str, Any]], ...] = (
            ("/api/traces", {}),
            ("/api/traces", few),
            ("/api/analysis/flame", {}),
            ("/api/metrics", {}),
        )
        once = [found.get(path, **query) for path, query in asked]
        assert [found.get(path, **query) for path, query in asked] == once
        assert once[1]["traces"] == once[0]["traces"][:3]
        assert len(once[0]["traces"]) == 8
        found.otlp("/v1/metrics", metrics(duration("shop:lend", {20: 1})))
        found.otlp("/v1/traces", traces(span("shop:lend", trace=bytes([77]) * 16, start=START + 99)))
        found.settle()
        assert found.get("/api/metrics")["total"] == once[3]["total"] + 1
        assert found.get("/api/traces")["traces"][0]["function"] == "shop:lend"


def test_brief_figures_are_those_of_the_long_answer(tmp_path: Path) -> None:
    with running(tmp_path, servers="off") as found:
        found.otlp("/v1/metrics", metrics(duration("shop:buy", {20: 3, 25: 1}), duration("shop:sell", {21: 1})))
        found.settle()
        whole, brief = found.get("/api/metrics"), found.get("/api/metrics", brief="true")
        assert brief["summary"] == whole["summary"]
        for long, short in zip(whole["functions"], brief["functions"], strict=True):
            assert {name: long[name] for name in short} == short
            assert len(short) < len(long)
