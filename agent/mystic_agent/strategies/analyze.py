"""analyze: sees how often calls repeat and whether they give the same again, and changes nothing.

What it notes is the ground on which the collector says whether the function should be cached. All calls of a sample
of keys are noted, within a share of a core; see ``contract.analysis``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mystic_agent.strategies import Stage, Subject
from mystic_agent.strategies.kept import kept
from mystic_agent.strategies.sampler import Sampler
from mystic_agent.strategies.selves import Selves


def refuse(subject: Subject, options: Mapping[str, Any]) -> str:
    """A generator has no result of its own that could be compared; the report refuses it by its kind."""
    if subject.kind in ("generator", "async_generator"):
        return f"analyze compares results, and those of {subject.kind.replace('_', ' ')} functions are used up once"
    return ""


def make(subject: Subject, options: Mapping[str, Any], following: Stage) -> Stage:
    """Return a stage that notes the calls of sampled keys."""
    method = subject.parameters[:1] == ("self",)
    sampler = kept(
        subject,
        "analyze",
        options,
        lambda: Sampler(subject.digests(), options["share"], options["accesses"], Selves() if method else None),
    )
    sampler.guard = subject.guard
    clock = sampler.clock

    if subject.kind == "coroutine":

        async def analyzed_async(*values: Any) -> Any:
            if sampler.resting:
                return await following(*values)
            begun = sampler.look(values)
            started = clock()
            try:
                result = await following(*values)
            except BaseException:
                sampler.ended(begun, started, clock(), None, True)
                raise
            sampler.ended(begun, started, clock(), result, False)
            return result

        return analyzed_async

    def analyzed(*values: Any) -> Any:
        if sampler.resting:
            return following(*values)
        begun = sampler.look(values)
        started = clock()
        try:
            result = following(*values)
        except BaseException:
            sampler.ended(begun, started, clock(), None, True)
            raise
        sampler.ended(begun, started, clock(), result, False)
        return result

    return analyzed
