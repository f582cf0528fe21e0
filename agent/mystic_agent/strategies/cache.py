"""cache: results served again until their ttl is over.

Rules: canonical type-tagged keys; what cannot be keyed safely bypasses and is counted with the reason; what belongs to
the caller's context is in the key, or the function is refused; concurrent misses of one key compute once; None is a
value; exceptions are kept only when asked for; mutable results are copied on the way in and out; what is used up by its
first reader is not kept; bounded in bytes and entries; a monotonic clock.

Every call is counted as one of: hit; shared hit (another process had it); joined (it waited for a call under way);
stale (served although it had expired); renewed (it computed the stale result anew); still stale (that failed, and the
stale result was served); miss; bypass, with the reason. Counted besides: why a result was not kept, or not shared, as
kept_out; what a task computed anew for nobody's call, as refreshed or not refreshed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mystic_agent.guard import FAULTS
from mystic_agent.strategies import Stage, Subject, sharing, varying
from mystic_agent.strategies.cached import Cached
from mystic_agent.trampoline import marked


def refuse(subject: Subject, options: Mapping[str, Any]) -> str:
    """A generator is used up by its first consumer, and a result may hang on what is not in the key."""
    if subject.kind in ("generator", "async_generator"):
        kind = subject.kind.replace("_", " ")
        return f"a cache cannot serve {kind} functions: their result is used up by the first caller"
    if unknown := subject.unknown("cache.ignore", (name for name in options["ignore"] if ":" not in name)):
        return unknown
    if options["identity"] and subject.parameters[:1] != ("self",):
        return "cache.identity is for methods; this function has no self"
    if options["identity"] and "self" in options["ignore"]:
        return "cache.identity says what stands for self, and cache.ignore leaves self out; give one of them"
    if options["scope"] == "shared" and (reason := sharing.problem(subject)):
        return reason
    return varying.problem(subject, options)


def make(subject: Subject, options: Mapping[str, Any], following: Stage) -> Stage:
    """Return a stage that serves kept results and keeps new ones."""
    cached = Cached(subject, options)
    return _quick(cached, marked(stage(cached, following))) if cached.fast else stage(cached, following)


def stage(cached: Cached, following: Stage) -> Stage:
    """Return the stage that asks ``cached`` before ``following``."""
    if cached.subject.kind == "coroutine":
        return lambda *values: cached.call_async(following, values)
    return lambda *values: cached.call(following, values)


def _quick(cached: Cached, following: Stage) -> Stage:
    """Return a stage that serves at once what a trampoline would have, and leaves the rest to ``following``."""
    kinds, clock, hit, guard = cached.memory.kinds, cached.memory.clock, cached.hit, cached.guard
    every, keyed, alone = len(cached.keyed) == len(cached.subject.parameters), cached.keyed, len(cached.keyed) == 1

    def find(values: tuple[Any, ...]) -> tuple[int, Any] | None:
        said = values if every else tuple([values[i] for i in keyed])
        types: Any = type(said[0]) if alone else tuple(map(type, said))
        held = kinds.get(types)
        kept = held.get(said[0] if alone else said) if held is not None else None
        if kept is None or kept[0] <= clock():
            return None
        hit()
        return kept

    def looked_up(*values: Any) -> Any:
        try:
            kept = find(values)
        except FAULTS as error:  # the hash of a type, which a metaclass may have defined, or ours
            guard.note("cache.look", error)
            kept = None
        return following(*values) if kept is None else kept[1]

    async def looked_up_async(*values: Any) -> Any:
        try:
            kept = find(values)
        except FAULTS as error:
            guard.note("cache.look", error)
            kept = None
        return await following(*values) if kept is None else kept[1]

    return looked_up_async if cached.subject.kind == "coroutine" else looked_up
