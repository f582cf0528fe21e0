"""What goes into a store and what comes out: frozen values without behaviour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from mystic_collector.store.external_records import ExternalPoint
from mystic_collector.store.life_records import MarkRow
from mystic_collector.store.log_records import LogRow

OVERFLOW = "(other)"
"""The name under which functions are kept once the bound on distinct names is reached."""

ERRORS, UNTIMED = "", "untimed"
"""Decisions, without a strategy, under which calls that failed and calls that were not timed are counted."""

_POINT_WEIGHT = 500
_LOG_WEIGHT = 800

_NOTHING: Mapping[tuple[str, str, str], int] = MappingProxyType({})

LARGEST = 2**63 - 1
"""The largest integer a store keeps; OTLP's unsigned numbers beyond it are refused."""


class Resource(NamedTuple):
    """The process that sent something: OTLP's resource.

    Attributes:
        service: ``service.name``, ``unknown_service`` when absent.
        instance: ``service.instance.id``, empty when absent.
        stage: ``deployment.environment.name``, empty when absent.
        attributes: all attributes as a JSON object.
    """

    service: str
    instance: str
    stage: str
    attributes: str


class SpanRow(NamedTuple):
    """One span.

    Attributes:
        trace_id, span_id, parent_id: 16, 8 and 8 bytes; the parent is empty for a root.
        function: ``module:qualname`` from ``mystic.function``, or empty.
        name: OTLP's span name.
        kind: OTLP's SpanKind, 0 to 5.
        start_ns, end_ns: Unix nanoseconds.
        status: 0 unset, 1 ok, 2 error.
        error: text of the error, empty when there is none.
        attributes: JSON object.
        events: JSON array of ``{name, time_ns, attributes}``, or empty.
    """

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    function: str
    name: str
    kind: int
    start_ns: int
    end_ns: int
    status: int
    error: str
    attributes: str
    events: str


class SpanSegment(NamedTuple):
    """Spans of one resource from one request, kept as they came; ``mystic_collector.otlp.spans`` reads them.

    Attributes:
        body: an encoded OTLP ResourceSpans message.
        size: how many spans.
        traces: their trace ids.
        names: their span names; a span of ours is called ``module.qualname``.
        errors: how many ended in an error.
        longest_ns: the longest duration.
    """

    body: bytes
    size: int
    traces: Set[bytes]
    names: Set[str]
    errors: int
    longest_ns: int


class FunctionPoint(NamedTuple):
    """Cumulative durations of one function in one process since ``start_ns``.

    Attributes:
        buckets: (offset, counts): ``counts[i]`` calls lasted 2**(offset+i) < ns <= 2**(offset+i+1).
        zero: calls that lasted 0 ns.
    """

    function: str
    start_ns: int
    time_ns: int
    calls: int
    total_ns: int
    min_ns: int
    max_ns: int
    zero: int
    buckets: tuple[int, Sequence[int]]


class CountPoint(NamedTuple):
    """A cumulative count of one function in one process since ``start_ns``.

    Attributes:
        strategy, decision, reason: of a decision; the strategy is empty for ERRORS and UNTIMED, which are
            told apart by ``decision``.
    """

    function: str
    start_ns: int
    time_ns: int
    value: int
    strategy: str = ""
    decision: str = ""
    reason: str = ""


class Fact(NamedTuple):
    """The latest value of something an agent says about itself (``mystic.agent.*``)."""

    metric: str
    kind: str
    time_ns: int
    value: float


class Point(NamedTuple):
    """One point of any other metric.

    Attributes:
        shape: gauge, sum, histogram, exponential_histogram or summary.
        value: of a number point; the sum of a histogram or summary.
        detail: JSON object with what else the point holds (count, buckets, quantiles, temporality).
    """

    time_ns: int
    metric: str
    shape: str
    unit: str
    attributes: str
    value: float
    detail: str


@dataclass(frozen=True, slots=True)
class Incoming:
    """What one resource said in one request; the unit of ingestion."""

    resource: Resource
    spans: SpanSegment | None = None
    functions: Sequence[FunctionPoint] = ()
    counts: Sequence[CountPoint] = ()
    facts: Sequence[Fact] = ()
    points: Sequence[Point] = ()
    logs: Sequence[LogRow] = ()
    marks: Sequence[MarkRow] = ()
    externals: Sequence[ExternalPoint] = ()

    @property
    def items(self) -> int:
        """How many spans, points, marks and log records this holds."""
        points = len(self.functions) + len(self.counts) + len(self.facts) + len(self.points)
        points += len(self.marks) + len(self.externals)
        return points + (self.spans.size if self.spans else 0) + len(self.logs)

    @property
    def weight(self) -> int:
        """About how many bytes of memory this takes."""
        points = self.items - (self.spans.size if self.spans else 0) - len(self.logs)
        logs = sum(_LOG_WEIGHT + len(one.body) + len(one.attributes) for one in self.logs)
        spans = len(self.spans.body) + 100 * len(self.spans.traces) if self.spans else 0
        return points * _POINT_WEIGHT + spans + logs


class FunctionTotals(NamedTuple):
    """One function of one service, summed over all its processes, living and dead.

    Attributes:
        calls: timed calls.
        untimed: calls that were counted and not timed.
        buckets: as in FunctionPoint.
        decisions: per (strategy, decision, reason) the count.
        last_ns: Unix nanoseconds of the last report that showed a new call.
    """

    service: str
    function: str
    calls: int = 0
    untimed: int = 0
    errors: int = 0
    total_ns: int = 0
    min_ns: int = 0
    max_ns: int = 0
    zero: int = 0
    buckets: tuple[int, Sequence[int]] = (0, ())
    decisions: Mapping[tuple[str, str, str], int] = _NOTHING
    instances: int = 0
    last_ns: int = 0


class Interval(NamedTuple):
    """What happened to one function between ``at`` and ``at + seconds`` (Unix seconds), over all processes.

    Attributes:
        calls, untimed: as in FunctionTotals.
        hits: calls served from a cache; they are among the two.
    """

    at: int
    seconds: int
    calls: int
    untimed: int
    errors: int
    hits: int
    total_ns: int
    zero: int
    buckets: tuple[int, Sequence[int]]


class Recent(NamedTuple):
    """Calls of one function of one service over some intervals, all processes together.

    Attributes:
        calls, untimed, hits: as in Interval.
    """

    service: str
    function: str
    calls: int
    untimed: int
    hits: int


class StoredSpan(NamedTuple):
    """A span with the process it came from."""

    service: str
    instance: str
    span: SpanRow


@dataclass(frozen=True, slots=True)
class SpanQuery:
    """Which traces are wanted; every empty field means any.

    Attributes:
        function: ``module:qualname`` or a span name, exact.
        min_duration_ns: of a matching span.
        besides: a service whose spans do not match.
        since_ns, until_ns: when a matching span began, Unix nanoseconds, both included.
        limit: how many traces, newest first.
        brief: spans are wanted without their attributes, events and texts of errors, which take most of the reading.
    """

    function: str = ""
    service: str = ""
    errors: bool = False
    min_duration_ns: int = 0
    limit: int = 50
    since_ns: int = 0
    until_ns: int = LARGEST
    besides: str = ""
    brief: bool = False


@dataclass(frozen=True, slots=True)
class Sizes:
    """How full a store is; ``bytes`` excludes pages that are free for reuse."""

    spans: int
    points: int
    functions: int
    overflowing: bool
    bytes: int
    logs: int = 0
