"""From hijacks to one hook: which strategies a function gets, composed once into what its trampoline calls.

Pure, but for the stages it makes: it reads no clock, takes no lock and touches no function.
"""

from __future__ import annotations

import _thread
from collections.abc import Iterable
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from mystic_agent.contract.deny import denied
from mystic_agent.contract.hijack import Hijack
from mystic_agent.contract.named import NamedTuple
from mystic_agent.contract.strategy import OBSERVING, StrategySpec, parse_strategy
from mystic_agent.guard import FAULTS
from mystic_agent.observe.meter import Meter
from mystic_agent.observe.span import place_now
from mystic_agent.observe.templates import COUNT, OBSERVE, apart, hit
from mystic_agent.observe.trace import Tracer
from mystic_agent.strategies import Stage, Strategy, Subject, known
from mystic_agent.swap import Hook
from mystic_agent.trampoline import marked

if TYPE_CHECKING:
    from mystic_agent.strategies.cached import Cached


class Plan(NamedTuple):
    """What one function gets.

    Attributes:
        hijacks: ids of the hijacks that name it, oldest first.
        strategies: their strategies, outermost first, ``observe`` left out.
        owners: for each strategy the id of its hijack.
    """

    hijacks: tuple[str, ...] = ()
    strategies: tuple[StrategySpec, ...] = ()
    owners: tuple[str, ...] = ()

    def of(self, hijacks: Iterable[str]) -> Plan:
        """Return the part of the plan that belongs to some of its hijacks."""
        kept = tuple(hijacks)
        pairs = [pair for pair in zip(self.strategies, self.owners, strict=True) if pair[1] in kept]
        return Plan(kept, tuple(spec for spec, _ in pairs), tuple(owner for _, owner in pairs))


OBSERVED = Plan()
"""Nothing but being observed."""


def analysis(share: float) -> Plan:
    """Return the plan that notes a function's calls, at most at ``share`` of a core."""
    return Plan((), (parse_strategy({"analyze": {"share": share}}, "analyze"),), ("",))


class Refused(Exception):
    """A strategy cannot be put on this function; the text is the reason shown to people."""


def choose(hijacks: Iterable[Hijack], stage: str, module: str, qualname: str) -> Plan | None:
    """Return the plan for ``module:qualname`` in ``stage``, or None when no hijack names it."""
    ids: list[str] = []
    strategies: list[StrategySpec] = []
    owners: list[str] = []
    for hijack in hijacks:
        if hijack.target.matches(module, qualname):
            listed = hijack.strategies(stage)
            if listed:
                ids.append(hijack.id)
                strategies.extend(spec for spec in listed if spec.name != "observe")
                owners.extend([hijack.id] * (len(strategies) - len(owners)))
    return Plan(tuple(ids), tuple(strategies), tuple(owners)) if ids else None


def check(plan: Plan, subject: Subject) -> None:
    """Raise Refused with the first reason why ``subject`` cannot have ``plan``."""
    module, _, qualname = subject.name.partition(":")
    forbidden = denied(module, qualname) if plan.strategies else ""
    for spec in plan.strategies:
        if forbidden and spec.name not in OBSERVING:
            raise Refused(f"{spec.name} is refused: {forbidden}")
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
    specs = plan.strategies
    if not specs:
        return observed(
            subject.kind,
            subject.function,
            observing(subject.meter, subject.tracer),
            counting=counting,
            shared_with_agent=shared_with_agent,
            agent=agent,
        )
    check(plan, subject)
    following: Stage = subject.function
    front: Cached | None = None
    for position in range(len(specs) - 1, -1, -1):
        spec, owner = specs[position], plan.owners[position]
        mine = subject.under(owner, plan.of((owner,)).strategies, spec.name)
        if position == 0 and spec.name == "cache":
            front, following = _cache(mine, spec, following)
        else:
            following = marked(_strategy(spec.name).make(mine, spec.options, following))
    body, constants = OBSERVE[subject.kind], {**observing(subject.meter, subject.tracer), "O": following}
    if front is not None and front.fast:
        body = hit([f"p{i}" for i in front.keyed]) + body
        hits = subject.meter.cell("cache", "hit", untimed=True)
        constants |= {"K": front.memory, "T": type, "H": hits, "F": FAULTS}
    return _passing(subject.kind, body, constants, agent) if shared_with_agent else (body, constants)


def observed(
    kind: str,
    function: Stage,
    constants: dict[str, Any],
    *,
    counting: bool = False,
    shared_with_agent: bool = False,
    agent: frozenset[int] | set[int],
) -> Hook:
    """Return template and constants for a function that is only observed, without what strategies would need.

    Args:
        function: the rebuilt original.
        constants: from :func:`observing`.
        counting, shared_with_agent, agent: as for :func:`compose`.
    """
    body = (COUNT if counting else OBSERVE)[kind]
    constants["O"] = function
    return _passing(kind, body, constants, agent) if shared_with_agent else (body, constants)


def _passing(kind: str, body: str, constants: dict[str, Any], agent: frozenset[int] | set[int]) -> Hook:
    return apart(kind, body), {**constants, "A": _Threads(agent)}


def _cache(subject: Subject, spec: StrategySpec, following: Stage) -> tuple[Cached, Stage]:
    """Return the cache that comes first, which the trampoline looks into by itself, and its stage."""
    from mystic_agent.strategies.cache import stage
    from mystic_agent.strategies.cached import Cached

    cached = Cached(subject, spec.options)
    return cached, marked(stage(cached, following))


def observing(meter: Meter, tracer: Tracer) -> dict[str, Any]:
    """Return the constants of a body that only observes, but for ``$O``."""
    return {
        "P": tracer.pulse,
        "M": meter,
        "N": perf_counter_ns,
        "G": place_now.get,
        "S": place_now.set,
        "I": _thread.get_ident,
    }


class _Threads:
    """A set that can stand in code: hashable by identity."""

    __slots__ = ("of",)

    def __init__(self, of: set[int] | frozenset[int]) -> None:
        self.of = of

    def __contains__(self, thread: int) -> bool:
        return thread in self.of


def _strategy(name: str) -> Strategy:
    strategy = known(name)
    if strategy is None:
        raise Refused(f"this agent does not know the strategy {name}")
    return strategy
