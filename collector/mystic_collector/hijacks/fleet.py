"""The living processes, by their reports and open streams. In memory: agents report anew after a restart.

Where several collectors are one fleet, those of the others stand beside this one's own in every answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mystic_agent.contract.hijack import Hijack
from mystic_agent.contract.report import Report

from mystic_collector.hijacks import progress
from mystic_collector.hijacks.elsewhere import Told
from mystic_collector.hijacks.live import LiveFunction, Reported
from mystic_collector.hijacks.process import Process

GONE_AFTER = 60.0
"""Seconds without a report and without an open stream after which a process is gone."""

MOST_PROCESSES = 10_000
MOST_FUNCTIONS = 1_000_000
"""Function states kept over all processes; beyond it, new ones are not kept and counted as ``untold``."""


class Fleet:
    """Processes by instance. Thread-safe.

    Args:
        clock: Unix seconds.

    Attributes:
        taken: reports, so far.
        elsewhere: the processes at other collectors of the same fleet, without waiting.
        changed: called after all that is heard of a process of our own.
        collector: this one's name in a fleet of several.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.elsewhere: Callable[[], Sequence[Process]] = tuple
        self.changed: Callable[[], None] = _nothing
        self.collector = ""
        self._lock = threading.Lock()
        self._processes: dict[str, Process] = {}
        self._functions = 0
        self.untold = 0
        self.taken = 0

    def take(self, report: Report) -> None:
        """Keep what a process reports; a complete report replaces what was known of its functions."""
        with self._lock:
            self.taken += 1
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
        self.changed()

    def connect(self, instance: str, service: str, stage: str) -> Callable[[], None]:
        """Note an open stream; return what to call when it closes."""
        with self._lock:
            process = self._known(instance, service, stage)
            process.streams += 1
        self.changed()

        def close() -> None:
            with self._lock:
                process.streams -= 1
                process.revision += 1
                process.seen = self._clock()
            self.changed()

        return close

    def processes(self, service: str = "") -> list[Process]:
        """Return the living processes that have reported, after forgetting those that are gone."""
        with self._lock:
            self._forget()
            # Whoever only listens, such as a diagnosis, is not a process under observation.
            found = [one for one in self._processes.values() if one.reported and service in ("", one.service)]
            # One that has come here from another collector is told of by that for a while yet.
            far = [one for one in self.elsewhere() if one.instance not in self._processes]
        return found + [one for one in far if service in ("", one.service)]

    def told(self, known: Mapping[str, int]) -> dict[str, Told]:
        """Return our own processes by instance, with what is known of those whose revision is not in ``known``."""
        with self._lock:
            self._forget()
            return {
                one.instance: Told(
                    one.revision,
                    None if known.get(one.instance) == one.revision else one.report(),
                    one.streams > 0,
                    one.seen,
                )
                for one in self._processes.values()
                if one.reported
            }

    def functions(self, service: str = "", function: str = "") -> list[LiveFunction]:
        """Return every function that a living process reports, or only ``function``, by service and name."""
        peers: dict[str, list[Process]] = {}
        for process in self.processes(service):
            peers.setdefault(process.service, []).append(process)
        found: list[LiveFunction] = []
        for where, processes in sorted(peers.items()):
            grouped: dict[str, list[Reported]] = {}
            with self._lock:
                for process in processes:
                    known = process.functions
                    if function:
                        known = {function: known[function]} if function in known else {}
                    for name, one in known.items():
                        grouped.setdefault(name, []).append((process, one))
            found += [LiveFunction(where, name, grouped[name], processes) for name in sorted(grouped)]
        return found

    def file_of(self, function: str) -> tuple[str, int] | None:
        """Return (file, line) some living process reports for ``function``."""
        with self._lock:
            for process in self._processes.values():
                one = process.functions.get(function)
                if one is not None and one.file:
                    return one.file, one.line
        return None

    def progress(self, hijack: Hijack, version: int) -> dict[str, Any]:
        """Return how far a hijack is in force; see :func:`mystic_collector.hijacks.progress.progress`."""
        processes = self.processes()
        with self._lock:
            return progress.progress(hijack, processes, version)

    def _known(self, instance: str, service: str, stage: str) -> Process:
        process = self._processes.get(instance)
        if process is None:
            self._forget()
            if len(self._processes) >= MOST_PROCESSES:
                oldest = min(self._processes.values(), key=lambda one: (one.streams, one.seen))
                self._drop(oldest.instance)
            process = self._processes[instance] = Process(instance, service, stage, collector=self.collector)
        process.seen = self._clock()
        process.revision += 1
        return process

    def _forget(self) -> None:
        limit = self._clock() - GONE_AFTER
        for instance in [one.instance for one in self._processes.values() if not one.streams and one.seen < limit]:
            self._drop(instance)

    def _drop(self, instance: str) -> None:
        self._functions -= len(self._processes.pop(instance).functions)


def _nothing() -> None:
    return
