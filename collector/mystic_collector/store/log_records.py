"""Log records, events among them, on their way in and out: frozen values without behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

LEVELS = {"trace": 1, "debug": 5, "info": 9, "warning": 13, "error": 17, "fatal": 21}
"""The lowest of OpenTelemetry's severity numbers of each level."""


class LogRow(NamedTuple):
    """One log record as it came; an event has a name.

    Attributes:
        time_ns: Unix nanoseconds, when it happened or was observed; 0 when nobody said.
        event: name of the event, or empty.
        function: ``module:qualname`` from ``mystic.function``, or empty.
        severity: OpenTelemetry's severity number, 0 when not said.
        trace_id, span_id: 16 and 8 bytes, or empty.
        body: text; a structured body as JSON.
        attributes: JSON object.
    """

    time_ns: int
    event: str
    function: str
    severity: int
    trace_id: bytes
    span_id: bytes
    body: str
    attributes: str


class StoredLog(NamedTuple):
    """A log record with the process it came from.

    Attributes:
        id: grows in the order of arrival.
    """

    id: int
    service: str
    instance: str
    row: LogRow


class Cursor(NamedTuple):
    """The last record of a page, from where the next one goes on into the past."""

    time_ns: int
    id: int


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which records are wanted; every empty field means any.

    Attributes:
        events: names, any of them.
        without: names that are not wanted.
        severity: the lowest number.
        since_ns: Unix nanoseconds.
        text: somewhere in body or attributes, in upper or lower case.
        id: exactly this record.
        before: newest first, beginning after this one.
        after: in order of arrival instead, those that came after the record of this id.
        limit: records on one page.
    """

    function: str = ""
    service: str = ""
    events: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    severity: int = 0
    since_ns: int = 0
    text: str = ""
    trace_id: bytes = b""
    id: int = 0
    before: Cursor | None = None
    after: int | None = None
    limit: int = 100


class LogPage(NamedTuple):
    """Some records.

    Attributes:
        next: where an older page begins; None when there is none.
        newest: the highest id that was looked at, for ``after``.
    """

    records: list[StoredLog]
    next: Cursor | None
    newest: int
