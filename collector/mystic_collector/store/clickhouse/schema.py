"""The tables, and what of them is cut into slices that are dropped as a whole.

Everything that may be reported again is in a table whose key makes it one row; reads do not rely on merges having
happened. Log records, spans and points have no such key: their inserts carry a token, by which the engine knows a
repetition. Names are kept as they are: LowCardinality numbers them in each part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mystic_collector.store.external_records import FIGURES

VERSION = 1
_NAME = "LowCardinality(String)"
_TOKENS = "settings non_replicated_deduplication_window = 1000"


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Attributes:
        columns: name → type.
        rest: engine, order and settings.
        indexes: further lines of the definition.
        sliced: partitioned by ``slice``.
    """

    name: str
    columns: Mapping[str, str]
    rest: str
    indexes: tuple[str, ...] = ()
    sliced: bool = False

    @property
    def statement(self) -> str:
        """Creates the table where it is missing."""
        lines = [f"{name} {kind}" for name, kind in self.columns.items()] + list(self.indexes)
        return f"create table if not exists {self.name}({', '.join(lines)}) engine = {self.rest}"


_WHO = {"service": _NAME, "instance": "String"}
_LABEL = {"strategy": _NAME, "decision": _NAME, "reason": _NAME}
_SLICE = {"slice": "UInt64", "received": "Int64 codec(Delta, ZSTD)"}

SCHEMA = Table("mystic_schema", {"version": "UInt32"}, "ReplacingMergeTree order by version")
NAMES = Table("names", {"kind": _NAME, "name": "String"}, "ReplacingMergeTree order by (kind, name)")
PROCESSES = Table(
    "processes",
    {**_WHO, "stage": _NAME, "attributes": "String", "seen": "UInt64"},
    "ReplacingMergeTree(seen) order by (service, instance)",
)
FOLDED = Table("folded", _WHO, "ReplacingMergeTree order by (service, instance)")
DURATIONS = Table(
    "durations",
    {
        **_WHO,
        "function": _NAME,
        "start": "Int64",
        "time": "Int64",
        "calls": "UInt64",
        "total": "Int64",
        "low": "Int64",
        "high": "Int64",
        "zero": "Int64",
        "slots": "Array(Int16)",
        "counts": "Array(Int64)",
    },
    "ReplacingMergeTree(calls) order by (service, instance, function, start)",
)
COUNTS = Table(
    "counts",
    {**_WHO, "function": _NAME, "start": "Int64", **_LABEL, "time": "Int64", "value": "UInt64"},
    "ReplacingMergeTree(value) order by (service, instance, function, start, strategy, decision, reason)",
)
GROWTH = Table(
    "growth",
    {
        **_SLICE,
        **_WHO,
        "function": _NAME,
        "start": "Int64",
        "kind": _NAME,
        **_LABEL,
        "at": "Int64 codec(Delta, ZSTD)",
        "before": "Int64",
        "after": "Int64",
        "total": "Int64",
        "zero": "Int64",
        "slots": "Array(Int16)",
        "counts": "Array(Int64)",
    },
    "ReplacingMergeTree partition by slice"
    " order by (service, function, instance, start, kind, strategy, decision, reason, at, after, before)",
    ("index by_at at type minmax granularity 1",),
    sliced=True,
)
FACTS = Table(
    "facts",
    {**_WHO, "metric": _NAME, "kind": _NAME, "time": "UInt64", "value": "Float64"},
    "ReplacingMergeTree(time) order by (service, instance, metric, kind)",
)
MARKS = Table(
    "marks",
    {"function": _NAME, **_WHO, "number": "Int64", "hijacks": "Array(String)", "body": "String"},
    "ReplacingMergeTree order by (function, service, instance, number)",
)
EXTERNALS = Table(
    "externals",
    {
        **_WHO,
        "stage": _NAME,
        "function": _NAME,
        "via": "String",
        "peer": "String",
        "protocol": _NAME,
        **dict.fromkeys(("time", *FIGURES), "SimpleAggregateFunction(max, Int64)"),
    },
    "AggregatingMergeTree order by (service, instance, stage, function, via, peer, protocol)",
)
POINTS = Table(
    "points",
    {
        **_SLICE,
        "id": "Int64",
        **_WHO,
        "time": "Int64",
        "metric": _NAME,
        "shape": _NAME,
        "unit": _NAME,
        "attributes": "String",
        "value": "Float64",
        "detail": "String",
    },
    f"MergeTree partition by slice order by id {_TOKENS}",
    sliced=True,
)
SEGMENTS = Table(
    "segments",
    {
        **_SLICE,
        "id": "Int64",
        **_WHO,
        "count": "Int64",
        "errors": "Int64",
        "longest": "Int64",
        "traces": "Array(UInt64)",
        "names": f"Array({_NAME})",
        "body": "String codec(ZSTD)",
    },
    f"MergeTree partition by slice order by id {_TOKENS}, index_granularity = 64",
    ("index by_trace traces type bloom_filter granularity 1", "index by_name names type bloom_filter granularity 1"),
    sliced=True,
)
LOGS = Table(
    "logs",
    {
        **_SLICE,
        "id": "Int64",
        **_WHO,
        "time": "Int64",
        "event": _NAME,
        "function": _NAME,
        "severity": "Int32",
        "trace_id": "String",
        "span_id": "String",
        "body": "String codec(ZSTD)",
        "attributes": "String codec(ZSTD)",
    },
    f"MergeTree partition by slice order by (time, id) {_TOKENS}",
    (
        "index by_id id type minmax granularity 1",
        "index by_function function type bloom_filter granularity 1",
        "index by_trace trace_id type bloom_filter granularity 1",
    ),
    sliced=True,
)

TABLES = (
    SCHEMA, NAMES, PROCESSES, FOLDED, DURATIONS, COUNTS, GROWTH, FACTS, MARKS, EXTERNALS, POINTS, SEGMENTS, LOGS,
)  # fmt: skip
