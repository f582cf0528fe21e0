"""What hijacks name and this process does not have, each with the reason. Pure, but for a look at what is loaded."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence

from mystic_agent import targets
from mystic_agent.attached import Attached
from mystic_agent.contract.hijack import Hijack
from mystic_agent.contract.report import FunctionReport
from mystic_agent.contract.target import Target


def pending(
    hijacks: Iterable[Hijack], rejected: Iterable[tuple[str, str]], known: Mapping[str, Attached]
) -> list[FunctionReport]:
    """Return one report for each hijack that names nothing here, and for each that could not be read.

    Args:
        hijacks: those in force.
        rejected: (id, reason) of those that could not be read.
        known: the functions of this process, by ``module:qualname``.
    """
    missing = []
    for hijack in hijacks:
        if not _named(hijack.target, known):
            state, reason = _why(hijack.target, known)
            missing.append(FunctionReport(str(hijack.target), state, reason, hijacks=(hijack.id,)))
    missing += [FunctionReport(f"hijack:{identity}", "failed", why, hijacks=(identity,)) for identity, why in rejected]
    return missing


def _named(target: Target, known: Mapping[str, Attached]) -> bool:
    if target.exact:
        return str(target) in known
    return any(target.matches(one.module, one.qualname) for one in known.values())


def _why(target: Target, known: Mapping[str, Attached]) -> tuple[str, str]:
    if target.module.partition(".")[0] in targets.OWN:
        return "failed", "the agent does not hijack itself"
    if target.module not in sys.modules:
        return "pending", "no such module is loaded yet"
    near = _closest(target.qualname, [one.qualname for one in known.values() if one.module == target.module])
    return "failed", f"the module is loaded and has no such function{near}"


def _closest(name: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, known, 3, 0.5)
    return f"; close: {', '.join(near)}" if near else ""
