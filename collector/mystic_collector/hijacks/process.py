"""One process as it was last heard of, and what to call how far something has come in many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mystic_agent.contract.report import FunctionReport, Report

WORKING = ("attached", "counting")
"""States in which calls are seen."""

NOT_LOADED = "pending"
"""The state of what a hijack names in a module that a process has not loaded."""


@dataclass(slots=True)
class Process:
    """One process as it was last heard of.

    Attributes:
        version: registry version it has applied; -1 before its first report.
        functions: by ``module:qualname``.
        streams: open connections to the stream.
        reported: False while it only listens.
        seen: Unix seconds of the last sign of life.
        collector: the name of that which it reports to; empty for this one, and where there is but one.
        revision: grows with all that is heard of it.
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
    collector: str = ""
    revision: int = 0

    def place(self) -> dict[str, str]:
        """Return where it reports to, as answers show it; nothing when that is here."""
        return {"collector": self.collector} if self.collector else {}

    def report(self) -> Report:
        """Return all that is known of it as one report."""
        functions = tuple(self.functions.values())
        return Report(self.instance, self.service, self.stage, self.pid, self.version, True, functions, self.status)


def extent(working: int, processes: int, not_loaded: int = 0, silent: int = 0) -> str:
    """Return ``attached in 2 of 3 processes; 1 has not loaded the module``.

    Args:
        working: processes in which calls are seen.
        processes: all that are concerned.
        not_loaded: those that have not loaded the module: a server's first process, say. No failure.
        silent: those that have not reported the function.
    """
    text = f"attached in {working} of {processes} processes"
    if not_loaded:
        text += f"; {_have(not_loaded)} not loaded the module"
    if silent:
        text += f"; {_have(silent)} not reported it"
    return text


def _have(number: int) -> str:
    return f"{number} has" if number == 1 else f"{number} have"
