"""How far one hijack is in force. Law: pure; processes in, one answer out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mystic_agent.contract.hijack import Hijack
from mystic_agent.contract.report import FunctionReport

from mystic_collector.hijacks.process import NOT_LOADED, WORKING, Process, extent

MOST_FAILURES = 100


def progress(hijack: Hijack, processes: Iterable[Process], version: int) -> dict[str, Any]:
    """Return how far a hijack is in force.

    Args:
        hijack: the hijack.
        processes: those that live.
        version: the registry version a process must have applied to count as ``applied``.

    Returns:
        Numbers of processes: ``processes`` (all that it concerns), ``applied``, ``attached``, ``not_loaded`` (the
        module is not loaded there), ``answered`` (applied, and said what came of it), ``unreachable`` (has no open
        stream and so cannot answer now); ``functions`` by name; ``failures`` with process and reason; ``notes``, how
        far its strategies have come in each process; ``summary`` for people.
    """
    concerned = [one for one in processes if hijack.applies_to(one.service) and hijack.strategies(one.stage)]
    applied, attached, not_loaded, answered, unreachable = 0, 0, 0, 0, 0
    functions: set[str] = set()
    failures: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    named = {spec.name for specs in hijack.stages.values() for spec in specs}
    for process in concerned:
        said = list(_about(hijack, process))
        hit = [one.function for one in said if one.state in WORKING]
        missed = [one for one in said if one.state in ("failed", "skipped")]
        absent = not hit and not missed and any(one.state == NOT_LOADED for one in said)
        current = process.version >= version
        applied += current
        attached += bool(hit)
        not_loaded += absent
        answered += current and bool(said)
        unreachable += not process.streams and not (current and said)
        functions.update(hit)
        failures += [_failure(one, process) for one in missed]
        notes += [
            {
                "function": one.function,
                "instance": process.instance,
                "pid": process.pid,
                **process.place(),
                "note": note,
            }
            for one in said
            for note in one.notes
            if note.partition(":")[0] in named
        ]
    return {
        "processes": len(concerned),
        "applied": applied,
        "attached": attached,
        "not_loaded": not_loaded,
        "answered": answered,
        "unreachable": unreachable,
        "functions": sorted(functions),
        "failures": failures[:MOST_FAILURES],
        "notes": notes[:MOST_FAILURES],
        "summary": extent(attached, len(concerned), not_loaded),
    }


def _about(hijack: Hijack, process: Process) -> Iterator[FunctionReport]:
    """Yield what a process says of the functions meant; one that works without the hijack says nothing of it."""
    for one in process.functions.values():
        if hijack.id in one.hijacks or (
            one.state in ("failed", "skipped", NOT_LOADED) and hijack.target.matches(*one.function.split(":", 1))
        ):
            yield one


def _failure(one: FunctionReport, process: Process) -> dict[str, Any]:
    return {
        "function": one.function,
        "instance": process.instance,
        "pid": process.pid,
        **process.place(),
        "state": one.state,
        "reason": one.reason,
    }
