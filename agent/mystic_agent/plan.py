"""From hijacks to one hook: which strategies a function gets, composed once into what its trampoline calls.

Pure, but for the stages it makes: it reads no clock, takes no lock and touches no function.
"""

from __future__ import annotations

import _thread
from collections.abc import Iterable
from time import perf_counter_ns
from typing import Any, NamedTuple

from mystic_agent.contract.hijack import Hijack
from mystic_agent.contract.strategy import StrategySpec
from mystic_agent.observe.meter import Meter
from mystic_agent.observe.templates import COUNT, OBSERVE, apart
from mystic_agent.observe.trace import Tracer
from mystic_agent.strategies import Stage, Strategy, Subject, known
from mystic_agent.strategies.cache import Cached, stage
from mystic_agent.swap import Hook

_CLOCK = {"function": "sync", "coroutine": "coroutine"}


class Plan(NamedTuple):
    """What one function gets.

    Attributes:
        hijacks: ids of the hijacks that name it, oldest first.
        strategies: their strategies, outermost first, ``observe`` left out.
    """

    hijacks: tuple[str, ...] = ()
    strategies: tuple[StrategySpec, ...] = ()


class Refused(Exception):
    """A strategy cannot be put on this function; the text is the reason shown to people."""


def choose(hijacks: Iterable[Hijack], stage: str, module: str, qualname: str) -> Plan | None:
    """Return the plan for ``module:qualname`` in ``stage``, or None when no hijack names it."""
    ids: list[str] = []
    strategies: list[StrategySpec] = []
    for hijack in hijacks:
        if hijack.target.matches(module, qualname):
            listed = hijack.strategies(stage)
            if listed:
                ids.append(hijack.id)
                strategies.extend(spec for spec in listed if spec.name != "observe")
    return Plan(tuple(ids), tuple(strategies)) if ids else None


def check(plan: Plan, subject: Subject) -> None:
    """Raise Refused with the first reason why ``subject`` cannot have ``plan``."""
    for spec in plan.strategies:
        strategy = _strategy(spec.name)
        reason = strategy.refuse(subject, spec.options)
        if reason:
            raise Refused(reason)


def compose(
    plan: Plan,
    subject: Subject,
    *,
    counting: bool = False,
    shared_with_agent: bool = False,
    agent: frozenset[int] | set[int],
) -> Hook:
    """Return the trampoline's template and constants for ``subject``.

    Args:
        counting: only count calls, as the governor asks for.
        shared_with_agent: the agent's own threads call this function too; their calls pass by.
        agent: identities of the agent's threads, shared and mutable.

    Raises:
        Refused: when a strategy cannot be put on this function.
    """
    check(plan, subject)
    following: Stage = subject.function
    specs = plan.strategies
    front: Cached | None = None
    for position in range(len(specs) - 1, -1, -1):
        spec = specs[position]
        if position == 0 and spec.name == "cache":
            front = Cached(subject, spec.options)
            following = stage(front, following)
        else:
            following = _strategy(spec.name).make(subject, spec.options, following)
    body = (COUNT if counting and not specs else OBSERVE)[subject.kind]
    constants: dict[str, Any] = {
        **observing(subject.meter, subject.tracer),
        "O": following,
        "I": _thread.get_ident,
        "A": _Threads(agent),
    }
    if front is not None and front.fast and not (counting and not specs):
        body = lookup(front, subject) + body.replace(f"_mystic_t = $P.{_CLOCK[subject.kind]}()\n", "", 1)
        constants |= {"K": front.memory, "T": type, "H": subject.meter.cell("cache", "hit", untimed=True)}
    if shared_with_agent:
        body = apart(subject.kind, body)
    return body, constants


def observing(meter: Meter, tracer: Tracer) -> dict[str, Any]:
    """Return the constants of a body that only observes, but for ``$O``."""
    return {"P": tracer.pulse, "M": meter, "N": perf_counter_ns}


def lookup(front: Cached, subject: Subject) -> str:
    """Return the source that serves a hit straight from the trampoline, in front of an observing body.

    A sampled call's start lies in the far future, so every entry looks expired to it and the call takes
    the long way, which gives it a span.
    """
    names = [f"p{i}" for i in front.keyed]
    kinds = f"$T({names[0]})" if len(names) == 1 else "(" + ", ".join(f"$T({name})" for name in names) + ")"
    values = names[0] if len(names) == 1 else f"({', '.join(names)})"
    return f"""
_mystic_t = $P.{_CLOCK[subject.kind]}()
_mystic_k = $K.kinds.get({kinds})
if _mystic_k is not None:
    _mystic_k = _mystic_k.get({values})
    if _mystic_k is not None and _mystic_k[0] > _mystic_t:
        $M.h[$H] += 1
        return _mystic_k[1]
"""


class _Threads:
    """A set that can stand in code: hashable by identity."""

    __slots__ = ("of",)

    def __init__(self, of: set[int] | frozenset[int]) -> None:
        self.of = of

    def __contains__(self, thread: int) -> bool:
        return thread in self.of


def _strategy(name: str) -> Strategy:
    strategy = known().get(name)
    if strategy is None:
        raise Refused(f"this agent does not know the strategy {name}")
    return strategy
