"""Added time per call: ours, a closure, wrapt and the peers.

Two child processes take turns, ours and the peers'; both measure the bare call and the closure wrapper too.
"""

from __future__ import annotations

import json
import os
import sys
from statistics import median
from typing import NamedTuple

from bench import own, peers
from bench.figure import Figure, Target
from bench.process import answered
from bench.rounds import Variant, measure
from bench.settings import offline
from bench.subject import KINDS, closure, fresh, passing, timed_by_wrapt

TURNS = 3
ROUNDS = {"own": 41, "peers": 15}
BARE, CLOSURE, PASSING, WRAPT = "bare call", "closure wrapper", "closure that only hands on", "wrapt with timing"
TITLES = {
    "function": "Call of a function, time added",
    "coroutine": "Call of a coroutine function, time added",
    "generator": "Call of a generator function with two items, time added",
}
TARGETS = {
    own.METRICS: Target(2.7, "× closure"),
    own.SPAN: Target(6, "× closure"),
    own.HIT: Target(3.5, "× closure"),
}
CHEAPER = Target(30, "× cheaper", at_least=True)


def figures() -> list[Figure]:
    """Measure every kind; return nanoseconds added over the bare call, against the closure wrapper."""
    turns = [{side: _in_child(side) for side in ROUNDS} for _ in range(TURNS)]
    found: list[Figure] = []
    for kind in KINDS:
        ours, theirs = ([Added.over_bare(turn[side][kind]) for turn in turns] for side in ("own", "peers"))
        bare = median(turn["own"][kind][BARE] for turn in turns)
        found += _judged(kind, bare, ours, theirs)
    return found


class Added(NamedTuple):
    """What one child process measured.

    Attributes:
        ns: nanoseconds added over bare, by variant.
        closures: the same as a multiple of what the closure wrapper added in the same process, since the
            machine does not run equally fast in every one.
    """

    ns: dict[str, float]
    closures: dict[str, float]

    @classmethod
    def over_bare(cls, measured: dict[str, float]) -> Added:
        """Return what ``measured`` (ns per call) adds."""
        ns = {name: value - measured[BARE] for name, value in measured.items() if name != BARE}
        return cls(ns, {name: value / ns[CLOSURE] for name, value in ns.items()})


def _judged(kind: str, bare: float, ours: list[Added], theirs: list[Added]) -> list[Figure]:
    title = TITLES[kind]
    found = [Figure(title, BARE, bare, "ns", note="itself")]
    ratios: dict[str, float] = {}
    for turns in (ours, theirs):
        for name in turns[0].ns:
            if name not in ratios:
                value = median(turn.ns[name] for turn in turns)
                ratios[name] = median(turn.closures[name] for turn in turns)
                found.append(Figure(title, name, value, "ns", TARGETS.get(name), ratios[name], "× closure"))
    for name in (own.METRICS, own.SPAN):
        value, cheaper = median(turn.ns[name] for turn in ours), ratios[peers.OTEL_SPAN] / ratios[name]
        found.append(Figure(title, f"{name}, against {peers.OTEL_SPAN}", value, "ns", CHEAPER, cheaper, "× cheaper"))
    return found


def _in_child(side: str) -> dict[str, dict[str, float]]:
    return answered("bench.calls", side, env=os.environ | offline())  # type: ignore[no-any-return]


def _variants(side: str, kind: str) -> list[Variant]:
    common = [Variant(BARE, fresh(kind)), Variant(CLOSURE, closure(kind))]
    if side == "peers":
        return common + peers.variants(kind)
    if kind != "function":
        common.append(Variant(PASSING, passing(kind)))
    return [*common, Variant(WRAPT, timed_by_wrapt(kind)), *own.variants(kind)]


if __name__ == "__main__":
    print(json.dumps({kind: measure(kind, _variants(sys.argv[1], kind), ROUNDS[sys.argv[1]]) for kind in KINDS}))
    sys.stdout.flush()
    os._exit(0)  # the peers' exit hooks have nothing to send
