"""One function over all living processes of a service. Law: pure; reports in, one answer out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mystic_agent.contract.report import FunctionReport

from mystic_collector.hijacks.process import NOT_LOADED, WORKING, Process, extent

MOST_INSTANCES = 100
"""Processes named one by one for one function."""

_MOST_REASONS = 5
_LONGEST_HOST = 255
_ABSENT = "it has not reported this function: the module is not loaded there, or its settings leave it out"

Reported = tuple[Process, FunctionReport]


@dataclass(frozen=True, slots=True)
class LiveFunction:
    """One function of one service over all its processes.

    Attributes:
        states: how many processes report which state.
        reasons: what was given with states other than attached.
        reports: what the processes that know it say about it.
        peers: every living process of the service.
    """

    service: str
    function: str
    kind: str
    file: str
    line: int
    states: Mapping[str, int]
    strategies: tuple[str, ...]
    hijacks: tuple[str, ...]
    reasons: tuple[str, ...]
    reports: Sequence[Reported]
    peers: Sequence[Process]

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


def merge(reports: Sequence[Reported], peers: Sequence[Process]) -> LiveFunction:
    """Return one function from what is said about it by at least one of ``peers``."""
    said = [one for _, one in reports]
    best = next((one for one in said if one.kind), said[0])
    reasons = dict.fromkeys(one.reason for one in said if one.reason and one.state != "attached")
    return LiveFunction(
        service=reports[0][0].service,
        function=best.function,
        kind=best.kind,
        file=best.file,
        line=best.line,
        states=dict(Counter(one.state for one in said)),
        strategies=tuple(dict.fromkeys(name for one in said for name in one.strategies)),
        hijacks=tuple(dict.fromkeys(name for one in said for name in one.hijacks)),
        reasons=tuple(reasons)[:_MOST_REASONS],
        reports=reports,
        peers=peers,
    )


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
