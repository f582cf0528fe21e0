"""Posts what became of the hijacks: everything after a (re)connection, then the changes."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from mystic_agent.contract.wire import REPORT_PATH
from mystic_agent.link.backoff import Backoff
from mystic_agent.link.connection import Connection
from mystic_agent.link.endpoint import Endpoint, Headers
from mystic_agent.link.gate import gate
from mystic_agent.link.reply import BadReply
from mystic_agent.link.shield import Shield

if TYPE_CHECKING:
    from mystic_agent.contract.report import Report

JSON: Headers = (("Content-Type", "application/json"),)


class Reporter:
    """Asks for a report when one is due and posts it.

    Nothing is asked for before the first stream was opened: without a collector there is nobody to tell.

    Args:
        endpoint: the collector.
        report: as of :class:`~mystic_agent.link.link.Link`.
        shield: where refusals and failures of ``report`` go.
    """

    def __init__(self, endpoint: Endpoint, report: Callable[[bool], Report | None], shield: Shield) -> None:
        collector = endpoint.collector()
        self._report = report
        self._shield = shield
        self._headers = (*JSON, *collector.headers)
        self._timeout = collector.timeout
        self._opened = False
        self._complete = False
        self._backoff = Backoff()
        self._not_before = 0.0

    def start_over(self) -> None:
        """The next report is a complete one."""
        self._complete = True
        self._not_before = 0.0
        self._opened = True

    def post(self, connection: Connection) -> None:
        """Post the report that is due, if one is; a loss makes the next one complete, since changes are told once.

        Raises:
            OSError, BadReply: when the collector could not be reached.
        """
        if not self._opened or monotonic() < self._not_before:
            return
        complete, self._complete = self._complete, False
        posted = False
        try:
            with gate():
                report = self._shield.run("link.report", self._report, None, complete)
            posted = report is None or self._send(connection, report)
        finally:
            self._complete = self._complete or not posted

    def _send(self, connection: Connection, report: Report) -> bool:
        import json

        body = json.dumps(report.to_json(), default=str).encode("ascii")
        head, _ = connection.post(REPORT_PATH, self._headers, body, self._timeout)
        if 200 <= head.status < 300:
            self._backoff.reset()
            return True
        if not self._backoff.failures:
            self._shield.note("link.report", BadReply(f"the collector answered {head.status} to POST {REPORT_PATH}"))
        self._not_before = monotonic() + self._backoff.next(head.retry_after)
        return False
