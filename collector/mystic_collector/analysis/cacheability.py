"""Whether a function should be cached: yes, no or unknown, with the reasons, from what agents saw of its calls."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mystic_agent.contract.analysis import MUTATED, REACH, REFUSING, RESULT

from mystic_collector.analysis.replay import MAX_BYTES, MAX_ENTRIES, PROCESS, Prediction, predict
from mystic_collector.analysis.workload import Workload

TTLS = (1.0, 10.0, 60.0, 600.0, 3600.0, 86400.0)
"""Seconds; predicted always, besides the one that is asked for."""

YES, NO, UNKNOWN = "yes", "no", "unknown"

ENOUGH_CALLS = 100
ENOUGH_REPEATS = 60
"""Repeats with the same result after which, with 95 % certainty, fewer than 1 in 20 has another (rule of three)."""

WORTHWHILE_RATE = 0.05
WORTHWHILE_SHARE = 0.05
"""The least hit rate, and the least share of the function's time, for which a cache is worth having."""

WIDEST_MARGIN = 0.10
MOST_UNKEYABLE = 0.5

_DOUBTFUL = ("random", "time", "network", "database", "process", "file", "global", "self", "object")
SINGLE_USE = "single use: "
"""Begins the reason of a result that its first receiver uses up, or that belongs to the system."""


class Touch(NamedTuple):
    """Something outside of its arguments that a function's code reaches.

    Attributes:
        category: one of REACH.
        name: what, e.g. ``time.time``.
        path: the calls that lead there, from the function itself on.
    """

    category: str
    name: str
    path: tuple[str, ...] = ()


class Consistency(NamedTuple):
    """Whether equal arguments gave equal results.

    Attributes:
        repeats: accesses of a key that the same process had seen before, with both results comparable.
        changed: of those, how many gave another result than the time before.
        mutated: accesses that changed their own arguments.
    """

    repeats: int
    changed: int
    mutated: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer with the sentences that explain it.

    Attributes:
        answer: ``yes``, ``no`` or ``unknown``.
        reasons: why; never empty.
        notes: what else to know.
    """

    answer: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...] = ()


def consistency(seen: Workload) -> Consistency:
    """Return whether equal arguments gave equal results, process by process."""
    repeats = changed = mutated = 0
    before: dict[tuple[str, int], int] = {}
    for segment in seen.segments:
        for access in segment.accesses:
            mutated += bool(access.flags & MUTATED)
            if access.flags & RESULT:
                known = before.get((segment.process, access.key))
                if known is not None:
                    repeats += 1
                    changed += known != access.result
                before[segment.process, access.key] = access.result
    return Consistency(repeats, changed, mutated)


def judge(
    seen: Workload,
    results: Consistency,
    reach: Sequence[Touch],
    predictions: Sequence[Prediction],
    kind: str = "function",
) -> Verdict:
    """Return the verdict.

    Args:
        seen: the calls.
        results: of the same calls.
        reach: what the code touches.
        predictions: for several ttls.
        kind: as agents report it: function, coroutine, generator, async_generator, native or empty.
    """
    notes = _notes(seen, reach)
    refusals = [*_form(kind), *_purity(seen, results, reach, predictions), *_worth(seen, predictions)]
    if refusals:
        return Verdict(NO, tuple(refusals), notes)
    doubts = [*_evidence(seen, results, predictions), *_doubts(seen, results, reach, predictions)]
    if doubts:
        return Verdict(UNKNOWN, tuple(doubts), notes)
    chosen = best(predictions)
    assert chosen is not None  # noqa: S101 -- _worth refuses when there is none
    why = (
        f"with a ttl of {span(chosen.ttl)} {chosen.hit_rate:.0%} of the calls would be hits, which saves "
        f"{span(chosen.seconds_saved_per_hour)} an hour",
        f"{results.repeats} repeated calls all gave the same result as before",
    )
    return Verdict(YES, why, notes)


def best(predictions: Sequence[Prediction]) -> Prediction | None:
    """Return the prediction that saves most without a result out of date; of nearly equal ones the shortest ttl."""
    good = [one for one in predictions if not one.stale and one.seconds_saved_per_hour > 0]
    most = max((one.seconds_saved_per_hour for one in good), default=0.0)
    return min(
        (one for one in good if one.seconds_saved_per_hour >= 0.98 * most), key=lambda one: one.ttl, default=None
    )


def _form(kind: str) -> list[str]:
    if kind in ("generator", "async_generator"):
        return [
            f"it is {'an' if kind[0] == 'a' else 'a'} {kind.replace('_', ' ')}: its first caller uses its result up"
        ]
    if kind == "native":
        return ["it is implemented in C and can only be observed"]
    return []


def _purity(
    seen: Workload, results: Consistency, reach: Sequence[Touch], predictions: Sequence[Prediction]
) -> list[str]:
    found = [_told(one) for one in _of(reach, REFUSING)]
    if results.mutated:
        found.append(f"it changes its arguments: {results.mutated} of {seen.accesses} sampled calls did")
    if results.changed and best(predictions) is None:
        found.append(_changed(results))
    single = {
        reason.removeprefix(SINGLE_USE): count
        for reason, count in seen.results.items()
        if reason.startswith(SINGLE_USE)
    }
    if single:
        found.append(f"it returns what only one caller can use: {_most(single)}")
    if seen.calls >= ENOUGH_CALLS and sum(seen.unkeyable.values()) > MOST_UNKEYABLE * seen.calls:
        share = min(sum(seen.unkeyable.values()) / seen.calls, 1.0)  # those that have not ended yet are among them
        found.append(
            f"{share:.0%} of the calls have arguments that cannot be told apart safely: {_most(seen.unkeyable)}"
        )
    return found


def _worth(seen: Workload, predictions: Sequence[Prediction]) -> list[str]:
    """Refuse where enough was seen to tell that a cache would gain nothing."""
    if seen.calls < ENOUGH_CALLS or not predictions:
        return []
    if sum(seen.unkeyable.values()) > MOST_UNKEYABLE * seen.calls or not _certain(predictions):
        return []
    highest = max(one.hit_rate + one.margin for one in predictions)
    if highest < WORTHWHILE_RATE:
        calls = f"{seen.calls} calls in {span(seen.observed)}"
        return [f"its arguments hardly repeat: at most {highest:.1%} of {calls} would be hits"]
    saved = max(one.seconds_saved_per_hour for one in predictions)
    spent = seen.seconds / seen.observed * 3600.0 if seen.observed else 0.0
    if saved < WORTHWHILE_SHARE * spent:
        mean = seen.seconds / seen.calls
        return [f"a call takes {span(mean)} on average: a cache would save less than {WORTHWHILE_SHARE:.0%} of that"]
    return []


def _evidence(seen: Workload, results: Consistency, predictions: Sequence[Prediction]) -> list[str]:
    """Say what is missing for an answer."""
    if seen.calls < ENOUGH_CALLS:
        return [f"only {seen.calls} calls were seen so far; {ENOUGH_CALLS} are needed"]
    found = []
    if results.repeats < ENOUGH_REPEATS:
        if seen.results:
            found.append(f"its results cannot be compared: {_most(seen.results)}")
        else:
            found.append(f"only {results.repeats} repeated calls could be compared; {ENOUGH_REPEATS} are needed")
    if not _certain(predictions):
        widest = max(one.margin for one in predictions)
        found.append(f"too few keys are sampled: the hit rate is known to ±{widest:.0%} only")
    return found


def _certain(predictions: Sequence[Prediction]) -> bool:
    """True when the prediction that matters is sure enough, or all are when none is better than no cache."""
    chosen = best(predictions)
    return all(one.margin <= WIDEST_MARGIN for one in ([chosen] if chosen is not None else predictions))


def _doubts(
    seen: Workload, results: Consistency, reach: Sequence[Touch], predictions: Sequence[Prediction]
) -> list[str]:
    found = [_told(one) for one in _of(reach, _DOUBTFUL)]
    if seen.identity:
        found.append(
            f"self is a {seen.identity}, told apart by identity alone: say which of its attributes matter with "
            "identity=…, or ignore=self when none does"
        )
    if results.changed:
        chosen = best(predictions)
        upto = f"; up to a ttl of {span(chosen.ttl)} no hit would have been out of date" if chosen else ""
        found.append(_changed(results) + upto)
    return found


def _notes(seen: Workload, reach: Sequence[Touch]) -> tuple[str, ...]:
    found = [_told(one) for one in _of(reach, tuple(set(REACH) - {*REFUSING, *_DOUBTFUL}))]
    if seen.own is not None and not seen.identity:
        names = ", ".join(seen.own)
        found.append(
            f"of self it reads {names} and nothing else: cache it with identity={','.join(seen.own)}"
            if seen.own
            else "it does not depend on self: cache it with ignore=self"
        )
    unkeyable = sum(seen.unkeyable.values())
    if 0 < unkeyable <= MOST_UNKEYABLE * seen.calls:
        found.append(f"{unkeyable / seen.calls:.0%} of the calls would bypass the cache: {_most(seen.unkeyable)}")
    return tuple(found)


def _changed(results: Consistency) -> str:
    return f"its result changes for the same arguments: in {results.changed} of {results.repeats} repeated calls"


def _of(reach: Sequence[Touch], categories: Collection[str]) -> list[Touch]:
    """Return the first touch of each name in these categories, the gravest first."""
    order = list(REACH)
    first: dict[tuple[str, str], Touch] = {}
    for one in reach:
        if one.category in categories:
            first.setdefault((one.category, one.name), one)
    return sorted(first.values(), key=lambda one: order.index(one.category))[:_MOST_SHOWN]


_MOST_SHOWN = 6


def _told(one: Touch) -> str:
    via = f" (through {' → '.join(one.path[1:])})" if len(one.path) > 1 else ""
    return f"it {REACH[one.category]}: {one.name}{via}"


def _most(counted: Mapping[str, int]) -> str:
    """Return the most frequent reasons in words."""
    rows = sorted(counted.items(), key=lambda row: (-row[1], row[0]))
    shown = ", ".join(f"{reason} ({count})" for reason, count in rows[:3])
    return f"{shown} and {len(rows) - 3} more" if len(rows) > 3 else shown


def span(seconds: float) -> str:
    """Return a length of time in words: ``90 s``, ``10 min``, ``3.2 ms``."""
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size * (1.5 if size > 1 and seconds % size else 1):
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns" if seconds > 0 else "0 s"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about a function: further ttls, and the bounds of the cache."""

    ttls: tuple[float, ...] = ()
    scope: str = PROCESS
    max_bytes: int = MAX_BYTES
    max_entries: int = MAX_ENTRIES


def report(seen: Workload, reach: Sequence[Touch], kind: str = "", question: Question | None = None) -> dict[str, Any]:
    """Return everything that is known of one function's cacheability; times in seconds."""
    asked = question or Question()
    ttls = sorted({*TTLS, *asked.ttls})
    predictions = [predict(seen, ttl, asked.scope, asked.max_bytes, asked.max_entries) for ttl in ttls]
    results = consistency(seen)
    verdict = judge(seen, results, reach, predictions, kind)
    chosen = best(predictions)
    return {
        "verdict": verdict.answer,
        "reasons": list(verdict.reasons),
        "notes": list(verdict.notes),
        "ttl": chosen.ttl if chosen else None,
        "hit_rate": chosen.hit_rate if chosen else 0.0,
        "seconds_saved_per_hour": chosen.seconds_saved_per_hour if chosen else 0.0,
        "bytes": chosen.bytes if chosen else 0,
        "scope": asked.scope,
        "options": _options(seen),
        "calls": seen.calls,
        "sampled_calls": seen.accesses,
        "sampled_share_of_keys": seen.rate,
        "observed": seen.observed,
        "processes": seen.processes,
        "mean_time": seen.seconds / seen.calls if seen.calls else 0.0,
        "purity": {
            "repeats": results.repeats,
            "changed": results.changed,
            "mutated": results.mutated,
            "reach": [{"category": one.category, "name": one.name, "path": list(one.path)} for one in reach],
        },
        "unkeyable": dict(seen.unkeyable),
        "uncomparable": dict(seen.results),
        "predictions": [_row(one, seen.observed) for one in predictions],
    }


def _options(seen: Workload) -> dict[str, list[str]]:
    """Return the options that a cache needs so that its keys are those that were seen."""
    if seen.own is None or seen.identity:
        return {}
    return {"identity": list(seen.own)} if seen.own else {"ignore": ["self"]}


def _row(one: Prediction, observed: float) -> dict[str, Any]:
    return {
        "ttl": one.ttl,
        "hit_rate": one.hit_rate,
        "hit_rate_when_warm": one.warm_hit_rate,
        "margin": one.margin,
        "hits_per_hour": one.hits_per_hour,
        "seconds_saved_per_hour": one.seconds_saved_per_hour,
        "entries": one.entries,
        "bytes": one.bytes,
        "stale_hits": one.stale,
        "compared_hits": one.compared,
        "observed_long_enough": observed >= one.ttl,
    }
