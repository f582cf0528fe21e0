"""One function over all living processes of a service. Law: pure; reports in, one answer out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mystic_agent.contract.report import FunctionReport

from mystic_collector.hijacks.process import NOT_LOADED, WORKING, Process, extent

MOST_INSTANCES = 100
"""Processes named one by one for one function."""

_MOST_REASONS = 5
_LONGEST_HOST = 255
_ABSENT = "it has not reported this function: the module is not loaded there, or its settings leave it out"

Reported = tuple[Process, FunctionReport]


@dataclass(frozen=True, eq=False)
class LiveFunction:
    """One function of one service over all its processes.

    What is known of it is put together when it is asked for: most who ask for functions look at some of them.

    Attributes:
        reports: what the processes that know it say about it; at least one.
        peers: every living process of the service.
    """

    service: str
    function: str
    reports: Sequence[Reported]
    peers: Sequence[Process]

    @cached_property
    def _best(self) -> FunctionReport:
        return next((one for _, one in self.reports if one.kind), self.reports[0][1])

    @property
    def kind(self) -> str:
        """One of the kinds of functions, or empty when no process has looked at it."""
        return self._best.kind

    @property
    def file(self) -> str:
        """Where its source is, or empty."""
        return self._best.file

    @property
    def line(self) -> int:
        """Where its source begins in the file."""
        return self._best.line

    @cached_property
    def states(self) -> Mapping[str, int]:
        """How many processes report which state."""
        return dict(Counter(one.state for _, one in self.reports))

    @cached_property
    def strategies(self) -> tuple[str, ...]:
        """Those in force somewhere."""
        return tuple(dict.fromkeys(name for _, one in self.reports for name in one.strategies))

    @cached_property
    def hijacks(self) -> tuple[str, ...]:
        """The ids of those in force somewhere."""
        return tuple(dict.fromkeys(name for _, one in self.reports for name in one.hijacks))

    @property
    def reasons(self) -> tuple[str, ...]:
        """What was given with states other than attached."""
        said = (one.reason for _, one in self.reports if one.reason and one.state != "attached")
        return tuple(dict.fromkeys(said))[:_MOST_REASONS]

    @property
    def processes(self) -> int:
        """How many processes of the service live."""
        return len(self.peers)

    @property
    def working(self) -> int:
        """In how many processes calls are seen."""
        return sum(self.states.get(state, 0) for state in WORKING)

    @property
    def summary(self) -> str:
        """``attached in 4 of 4 processes``."""
        silent = len(self.peers) - len(self.reports)
        return extent(self.working, len(self.peers), self.states.get(NOT_LOADED, 0), silent)

    def instances(self) -> list[dict[str, Any]]:
        """Return every process with its state, reason and what it does not reach; those with a miss first.

        A process of the service that does not know the function has the state ``absent``.
        """
        rows = [_row(process, one) for process, one in self.reports]
        known = {process.instance for process, _ in self.reports}
        nothing = FunctionReport(self.function, "absent", _ABSENT)
        rows += [_row(process, nothing) for process in self.peers if process.instance not in known]
        rows.sort(key=lambda row: (row["state"] in WORKING, not row["references"], row["pid"], row["instance"]))
        return rows


def _row(process: Process, one: FunctionReport) -> dict[str, Any]:
    return {
        "instance": process.instance,
        "pid": process.pid,
        **process.place(),
        "host": str(process.status.get("host", ""))[:_LONGEST_HOST],
        "state": one.state,
        "reason": one.reason,
        "strategies": one.strategies,
        "hijacks": one.hijacks,
        "references": one.references,
    }
