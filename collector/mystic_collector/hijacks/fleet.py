"""The living processes, by their reports and open streams. In memory: agents report anew after a restart."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mystic_agent.contract.hijack import Hijack
from mystic_agent.contract.report import FunctionReport, Report

GONE_AFTER = 60.0
"""Seconds without a report and without an open stream after which a process is gone."""

MOST_PROCESSES = 10_000
MOST_FUNCTIONS = 1_000_000
"""Function states kept over all processes; beyond it, new ones are not kept and counted as ``untold``."""

WORKING = ("attached", "counting")


@dataclass(slots=True)
class Process:
    """One process as it was last heard of.

    Attributes:
        version: registry version it has applied; -1 before its first report.
        functions: by ``module:qualname``.
        streams: open connections to the stream.
        reported: False while it only listens.
        seen: Unix seconds of the last sign of life.
    """

    instance: str
    service: str
    stage: str = ""
    pid: int = 0
    version: int = -1
    functions: dict[str, FunctionReport] = field(default_factory=dict)
    status: Mapping[str, Any] = field(default_factory=dict)
    streams: int = 0
    seen: float = 0.0
    reported: bool = False


@dataclass(frozen=True, slots=True)
class LiveFunction:
    """One function of one service over all its processes.

    Attributes:
        states: how many processes report which state.
        processes: living processes of the service.
        reasons: what was given with states other than attached.
    """

    service: str
    function: str
    kind: str
    file: str
    line: int
    states: Mapping[str, int]
    processes: int
    strategies: tuple[str, ...]
    hijacks: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def working(self) -> int:
        """In how many processes calls are seen."""
        return sum(self.states.get(state, 0) for state in WORKING)

    @property
    def summary(self) -> str:
        """``attached in 4 of 4 processes``."""
        return f"attached in {self.working} of {self.processes} processes"


class Fleet:
    """Processes by instance. Thread-safe.

    Args:
        clock: Unix seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._processes: dict[str, Process] = {}
        self._functions = 0
        self.untold = 0

    def take(self, report: Report) -> None:
        """Keep what a process reports; a complete report replaces what was known of its functions."""
        with self._lock:
            process = self._known(report.instance, report.service, report.stage)
            process.service, process.stage, process.reported = report.service, report.stage, True
            process.pid, process.version, process.status = report.pid, report.version, report.status
            if report.complete:
                self._functions -= len(process.functions)
                process.functions = {}
            for one in report.functions:
                if one.function not in process.functions:
                    if self._functions >= MOST_FUNCTIONS:
                        self.untold += 1
                        continue
                    self._functions += 1
                process.functions[one.function] = one

    def connect(self, instance: str, service: str, stage: str) -> Callable[[], None]:
        """Note an open stream; return what to call when it closes."""
        with self._lock:
            process = self._known(instance, service, stage)
            process.streams += 1

        def close() -> None:
            with self._lock:
                process.streams -= 1
                process.seen = self._clock()

        return close

    def processes(self, service: str = "") -> list[Process]:
        """Return the living processes that have reported, after forgetting those that are gone."""
        with self._lock:
            self._forget()
            # Whoever only listens, such as a diagnosis, is not a process under observation.
            return [one for one in self._processes.values() if one.reported and service in ("", one.service)]

    def functions(self, service: str = "") -> list[LiveFunction]:
        """Return every function that a living process reports, by service and name."""
        grouped: dict[tuple[str, str], list[FunctionReport]] = {}
        processes = self.processes(service)
        with self._lock:
            for process in processes:
                for one in process.functions.values():
                    grouped.setdefault((process.service, one.function), []).append(one)
        sizes = Counter(process.service for process in processes)
        return [_merge(key, reports, sizes[key[0]]) for key, reports in sorted(grouped.items())]

    def file_of(self, function: str) -> tuple[str, int] | None:
        """Return (file, line) some living process reports for ``function``."""
        with self._lock:
            for process in self._processes.values():
                one = process.functions.get(function)
                if one is not None and one.file:
                    return one.file, one.line
        return None

    def progress(self, hijack: Hijack, version: int) -> dict[str, Any]:
        """Return how far a hijack is in force: processes, applied, attached, functions, failures.

        Args:
            hijack: the hijack.
            version: the registry version a process must have applied to count as ``applied``.
        """
        concerned = [one for one in self.processes() if hijack.applies_to(one.service) and hijack.strategies(one.stage)]
        attached, applied = 0, 0
        functions: set[str] = set()
        failures: list[dict[str, Any]] = []
        with self._lock:
            for process in concerned:
                applied += process.version >= version
                hit = [one for one in process.functions.values() if hijack.id in one.hijacks and one.state in WORKING]
                attached += bool(hit)
                functions.update(one.function for one in hit)
                failures += _failures(hijack, process)
        return {
            "processes": len(concerned),
            "applied": applied,
            "attached": attached,
            "functions": sorted(functions),
            "failures": failures[:100],
            "summary": f"attached in {attached} of {len(concerned)} processes",
        }

    def _known(self, instance: str, service: str, stage: str) -> Process:
        process = self._processes.get(instance)
        if process is None:
            self._forget()
            if len(self._processes) >= MOST_PROCESSES:
                oldest = min(self._processes.values(), key=lambda one: (one.streams, one.seen))
                self._drop(oldest.instance)
            process = self._processes[instance] = Process(instance, service, stage)
        process.seen = self._clock()
        return process

    def _forget(self) -> None:
        limit = self._clock() - GONE_AFTER
        for instance in [one.instance for one in self._processes.values() if not one.streams and one.seen < limit]:
            self._drop(instance)

    def _drop(self, instance: str) -> None:
        self._functions -= len(self._processes.pop(instance).functions)


def _failures(hijack: Hijack, process: Process) -> Iterable[dict[str, Any]]:
    for one in process.functions.values():
        if one.state in ("failed", "skipped", "pending") and (
            hijack.id in one.hijacks or hijack.target.matches(*one.function.split(":", 1))
        ):
            yield {
                "function": one.function,
                "instance": process.instance,
                "pid": process.pid,
                "state": one.state,
                "reason": one.reason,
            }


def _merge(key: tuple[str, str], reports: list[FunctionReport], processes: int) -> LiveFunction:
    best = next((one for one in reports if one.kind), reports[0])
    return LiveFunction(
        service=key[0],
        function=key[1],
        kind=best.kind,
        file=best.file,
        line=best.line,
        states=dict(Counter(one.state for one in reports)),
        processes=processes,
        strategies=tuple(dict.fromkeys(name for one in reports for name in one.strategies)),
        hijacks=tuple(dict.fromkeys(name for one in reports for name in one.hijacks)),
        reasons=tuple(dict.fromkeys(one.reason for one in reports if one.reason and one.state != "attached"))[:5],
    )
