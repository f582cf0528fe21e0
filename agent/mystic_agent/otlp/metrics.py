"""Cumulative figures as an ``ExportMetricsServiceRequest``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct

from mystic_agent.contract import wire
from mystic_agent.otlp.attributes import encode_attributes
from mystic_agent.otlp.protobuf import DOUBLE, FIXED64, MASK64, SFIXED64, delimited, double, utf8, varint
from mystic_agent.otlp.resource import wrap
from mystic_agent.records import Count, Reading

UNITS = {
    wire.DURATION: "ns",
    wire.ERRORS: "{call}",
    wire.DECISIONS: "{call}",
    wire.DROPPED: "{item}",
    wire.OVERHEAD: "1",
    wire.FUNCTIONS: "{function}",
    wire.COST: "ns",
    **dict(zip(wire.EXTERNAL, ("{operation}", "{connection}", "{error}", "By", "By", "ns"), strict=True)),
}

_CUMULATIVE = b"\x10\x02"
_MONOTONIC = b"\x18\x01"
# start (2), time (3), count (4), sum (5), zero_count (7), min (12), max (13) of a histogram point.
_FIGURES = Struct("<cQcQcQcdcQcdcd").pack

_MOST_FUNCTIONS = 20_000
_constants: dict[str, bytes] = {}


def encode_metrics(
    resource: bytes, readings: Sequence[Reading], counts: Iterable[Count], *, start_ns: int, now_ns: int
) -> bytes:
    """Return the request that holds ``readings`` and ``counts``, all cumulative from ``start_ns`` to ``now_ns``.

    Durations are one ExponentialHistogram of scale 0. Its bucket i holds 2**i < ns <= 2**(i+1), ours
    2**i <= ns < 2**(i+1): a call of exactly 2**i ns stands one bucket higher than the definition says. At
    nanosecond resolution that moves a quantile by less than one nanosecond, and it is what keeps the call path
    at one ``bit_length``. Calls of 0 ns are the zero count. Sum, minimum and maximum are exact up to 2**53 ns
    (104 days), the range of the message's doubles. Functions that were never called are left out.

    Args:
        start_ns, now_ns: Unix nanoseconds.
    """
    start_ns, now_ns = start_ns & MASK64, now_ns & MASK64
    called = [reading for reading in readings if any(reading.buckets)]
    failed = [reading for reading in called if reading.errors]
    metrics: list[bytes] = []
    if called:
        points = b"".join([delimited(1, _histogram(reading, start_ns, now_ns)) for reading in called])
        metrics.append(_metric(wire.DURATION, 10, points + _CUMULATIVE))
    if failed:
        times = b"\x11" + FIXED64(start_ns) + b"\x19" + FIXED64(now_ns)
        points = b"".join([delimited(1, times + _errors(reading)) for reading in failed])
        metrics.append(_metric(wire.ERRORS, 7, points + _CUMULATIVE + _MONOTONIC))
    metrics += _sums(counts, start_ns, now_ns)
    return wrap(resource, b"".join([delimited(2, metric) for metric in metrics]))


def _metric(name: str, number: int, data: bytes) -> bytes:
    unit = UNITS.get(name)
    return delimited(1, utf8(name)) + (delimited(3, utf8(unit)) if unit else b"") + delimited(number, data)


def _histogram(reading: Reading, start_ns: int, now_ns: int) -> bytes:
    function, buckets, total_ns, min_ns, max_ns, _ = reading
    count, zero = sum(buckets), buckets[0]
    figures = _FIGURES(
        b"\x11", start_ns, b"\x19", now_ns, b"\x21", count, b"\x29", double(total_ns), b"\x39", zero,
        b"\x61", double(min_ns), b"\x69", double(max_ns),
    )  # fmt: skip
    made = _function_attribute(function) + figures
    if count == zero:
        return made
    low, high = _span(reading, count - zero)
    return made + delimited(8, b"\x08" + varint((low - 1) << 1) + delimited(2, _packed(buckets[low : high + 1])))


def _span(reading: Reading, positive: int) -> tuple[int, int]:
    """Return the first and the last bucket from 1 that count a call.

    The extremes name them at once; only figures that were read while a call changed them need the search.
    """
    buckets = reading.buckets
    low, high = max(reading.min_ns, 1).bit_length(), reading.max_ns.bit_length()
    if sum(buckets[low : high + 1]) != positive:
        low, high = 1, len(buckets) - 1
    while not buckets[low]:
        low += 1
    while not buckets[high]:
        high -= 1
    return low, high


def _packed(counts: tuple[int, ...]) -> bytes:
    if max(counts) < 0x80:
        return bytes(counts)
    return b"".join([varint(count) for count in counts])


def _errors(reading: Reading) -> bytes:
    attribute = _function_attribute(reading.function)
    return b"\x31" + SFIXED64(reading.errors) + b"\x3a" + attribute[1:]


def _function_attribute(function: str) -> bytes:
    """Return the attribute that names ``function``, as field 1; another field number is a change of its first byte."""
    made = _constants.get(function)
    if made is None:
        made = encode_attributes(1, ((wire.FUNCTION, function),))
        if len(_constants) >= _MOST_FUNCTIONS:
            _constants.clear()
        _constants[function] = made
    return made


def _sums(counts: Iterable[Count], start_ns: int, now_ns: int) -> list[bytes]:
    times = b"\x11" + FIXED64(start_ns) + b"\x19" + FIXED64(now_ns)
    points: dict[tuple[str, bool], list[bytes]] = {}
    for metric, value, attributes, gauge in counts:
        point = (b"\x19" + FIXED64(now_ns) if gauge else times) + _number(value) + encode_attributes(7, attributes)
        points.setdefault((metric, gauge), []).append(delimited(1, point))
    return [
        _metric(name, 5, b"".join(listed)) if gauge else _metric(name, 7, b"".join(listed) + _CUMULATIVE + _MONOTONIC)
        for (name, gauge), listed in points.items()
    ]


def _number(value: int | float) -> bytes:
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return b"\x31" + SFIXED64(value)
    return b"\x21" + DOUBLE(double(value))
