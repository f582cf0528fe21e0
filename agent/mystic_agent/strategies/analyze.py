"""analyze: sees how often calls repeat and whether they give the same again, and changes nothing.

What it notes is the ground on which the collector says whether the function should be cached. All calls of a sample
of keys are noted, within a share of a core; see ``contract.analysis``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mystic_agent.cache.own_state import own_state
from mystic_agent.strategies import Stage, Subject
from mystic_agent.strategies.kept import kept
from mystic_agent.strategies.named import holder_of
from mystic_agent.strategies.sampler import Sampler
from mystic_agent.strategies.selves import Selves


def refuse(subject: Subject, options: Mapping[str, Any]) -> str:
    """A generator has no result of its own that could be compared; the report refuses it by its kind."""
    if subject.kind in ("generator", "async_generator"):
        return f"analyze compares results, and those of {subject.kind.replace('_', ' ')} functions are used up once"
    return ""


def make(subject: Subject, options: Mapping[str, Any], following: Stage) -> Stage:
    """Return a stage that notes the calls of sampled keys."""
    sampler = kept(
        subject,
        "analyze",
        options,
        lambda: Sampler(subject.digests(), options["share"], options["accesses"], _selves(subject)),
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


def _selves(subject: Subject) -> Selves | None:
    """Return what stands for the object of a method; None for functions."""
    if subject.parameters[:1] != ("self",):
        return None
    module, _, qualname = subject.name.partition(":")
    original: Any = subject.function
    return Selves(subject.guard.run("analyze", own_state, None, original, holder_of(module, qualname)))
