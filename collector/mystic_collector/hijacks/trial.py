"""What a hijack would do: which functions in which processes, and what would be refused. Law: pure; nothing changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mystic_agent.contract.allowed import disallowed
from mystic_agent.contract.deny import denied
from mystic_agent.contract.hijack import Hijack
from mystic_agent.contract.kinds import unfit
from mystic_agent.contract.report import FunctionReport
from mystic_agent.contract.strategy import OBSERVING, StrategySpec
from mystic_agent.contract.target import Target

from mystic_collector.hijacks.process import Process

MOST_PROCESSES, MOST_MATCHES = 100, 200
"""Processes, and functions of one, that are named one by one; all are counted."""


def trial(
    hijack: Hijack, processes: Iterable[Process], written: Iterable[str] = (), modules: Iterable[str] = ()
) -> dict[str, Any]:
    """Return what would come of ``hijack``, as far as the reports of living processes tell.

    Args:
        processes: those that live.
        written: ``module:qualname`` of the functions in the project's source.
        modules: the project's own modules, whose code a hijack may name where no allow-list is set.

    Returns:
        ``processes`` with their ``matches`` (function, what is in force there, ``outcome`` attach or refused, reason);
        ``only_written``: functions in the source that no process has reported; numbers and a ``summary``.
    """
    own = frozenset(modules)
    concerned = [one for one in processes if hijack.applies_to(one.service) and hijack.strategies(one.stage)]
    rows, functions, attach, refused = [], set(), 0, 0
    for process in concerned:
        matches = [_match(hijack, one, process, own) for one in _meant(hijack.target, process)]
        good = [one for one in matches if one["outcome"] == "attach"]
        functions |= {one["function"] for one in good}
        attach += bool(good)
        refused += len(matches) - len(good)
        rows.append(_row(process, matches))
    only = [name for name in written if hijack.target.matches(*_split(name)) and not _reported(name, concerned)]
    return {
        "processes": rows[:MOST_PROCESSES],
        "processes_left_out": max(0, len(rows) - MOST_PROCESSES),
        "functions": sorted(functions)[:MOST_MATCHES],
        "function_count": len(functions),
        "attach": attach,
        "refused": refused,
        "only_written": only[:MOST_MATCHES],
        "summary": _summary(len(functions), attach, len(rows), refused, len(only)),
    }


def refusal(
    specs: Sequence[StrategySpec], name: str, kind: str, process: Process | None, own: frozenset[str] = frozenset()
) -> str:
    """Return why the function ``name`` of ``process`` would not get ``specs``, or an empty text."""
    status = process.status if process is not None else {}
    permitted, allow = status.get("allowed_strategies"), status.get("allow")
    reason = disallowed(specs, permitted if isinstance(permitted, list) else None)
    if reason:
        return reason
    module, qualname = _split(name)
    forbidden = denied(module, qualname)
    for spec in specs:
        if forbidden and spec.name not in OBSERVING:
            return f"{spec.name} is refused: {forbidden}"
        reason = unfit(spec, kind, qualname) or _foreign(spec, allow, own)
        if reason:
            return reason
    return ""


def _foreign(spec: StrategySpec, allow: Any, own: frozenset[str]) -> str:
    """Return why a process would not run the code that a strategy names."""
    other = str(spec.options.get("to") or "").partition(":")[0]
    if not other:
        return ""
    if isinstance(allow, list) and allow:
        if any(Target(str(glob), "*").wants_module(other) for glob in allow):
            return ""
        return f"{spec.name}.to is in {other}, which MYSTIC_ALLOW leaves out"
    if not own or other in own:
        return ""
    return f"{spec.name}.to is in {other}, which is not part of the project; name it in MYSTIC_ALLOW"


def _meant(target: Target, process: Process) -> list[FunctionReport]:
    """Return what a process reports of the functions meant; lines about hijacks are no functions."""
    if target.exact:
        found = [process.functions.get(str(target))]
    else:
        found = [one for name, one in process.functions.items() if target.matches(*_split(name))]
    return [one for one in found if one is not None and one.state != "pending" and (one.kind or one.file)]


def _match(hijack: Hijack, one: FunctionReport, process: Process, own: frozenset[str]) -> dict[str, Any]:
    reason = refusal(hijack.strategies(process.stage), one.function, one.kind, process, own)
    return {
        "function": one.function,
        "kind": one.kind,
        "state": one.state,
        "in_force": [name for name in one.strategies if name != "observe"],
        "hijacks": [identity for identity in one.hijacks if identity != hijack.id],
        "outcome": "refused" if reason else "attach",
        "reason": reason,
    }


def _row(process: Process, matches: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "service": process.service,
        "instance": process.instance,
        "pid": process.pid,
        **process.place(),
        "stage": process.stage,
        "connected": process.streams > 0,
        "matches": matches[:MOST_MATCHES],
        "matches_left_out": max(0, len(matches) - MOST_MATCHES),
        "note": "" if matches else "it has reported no such function; it looks again when the hijack arrives",
    }


def _reported(name: str, processes: Iterable[Process]) -> bool:
    return any(name in one.functions for one in processes)


def _split(name: str) -> tuple[str, str]:
    module, _, qualname = name.partition(":")
    return module, qualname


def _summary(functions: int, attach: int, processes: int, refused: int, only_written: int) -> str:
    """Return ``2 functions in 3 of 4 processes; 1 refused``."""
    text = f"{functions} {'function' if functions == 1 else 'functions'} in {attach} of {processes} processes"
    if refused:
        text += f"; refused {refused} {'time' if refused == 1 else 'times'}"
    if only_written:
        text += f"; {only_written} in the source that no process has reported"
    return text
