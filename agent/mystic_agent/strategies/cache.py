"""cache: results served again until their ttl is over.

Rules: canonical type-tagged keys; what cannot be keyed safely bypasses and is counted with the reason; what belongs to
the caller's context is in the key, or the function is refused; concurrent misses of one key compute once; None is a
value; exceptions are kept only when asked for; mutable results are copied on the way in and out; what is used up by its
first reader is not kept; bounded in bytes and entries; a monotonic clock.

Every call is counted as one of: hit; shared hit (another process had it); joined (it waited for a call under way);
stale (served although it had expired); renewed (the stale result was computed anew); miss; bypass, with the reason. Why
a result was not kept, or not shared, is counted besides as kept_out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mystic_agent.strategies import Stage, Subject, sharing, varying
from mystic_agent.strategies.cached import Cached


def refuse(subject: Subject, options: Mapping[str, Any]) -> str:
    """A generator is used up by its first consumer, and a result may hang on what is not in the key."""
    if subject.kind in ("generator", "async_generator"):
        kind = subject.kind.replace("_", " ")
        return f"a cache cannot serve {kind} functions: their result is used up by the first caller"
    unknown = {name for name in options["ignore"] if ":" not in name} - set(subject.parameters)
    if unknown:
        names = ", ".join(subject.parameters) or "none"
        return f"cache.ignore names {', '.join(sorted(unknown))}, but the parameters are {names}"
    if options["identity"] and subject.parameters[:1] != ("self",):
        return "cache.identity is for methods; this function has no self"
    if options["identity"] and "self" in options["ignore"]:
        return "cache.identity says what stands for self, and cache.ignore leaves self out; give one of them"
    if options["scope"] == "shared" and (reason := sharing.problem(subject)):
        return reason
    return varying.problem(subject, options)


def make(subject: Subject, options: Mapping[str, Any], following: Stage) -> Stage:
    """Return a stage that serves kept results and keeps new ones."""
    return stage(Cached(subject, options), following)


def stage(cached: Cached, following: Stage) -> Stage:
    """Return the stage that asks ``cached`` before ``following``."""
    if cached.subject.kind == "coroutine":
        return lambda *values: cached.call_async(following, values)
    return lambda *values: cached.call(following, values)
