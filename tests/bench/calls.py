"""Added time per call: ours, a closure, wrapt and the peers.

Two child processes take turns, ours and the peers'; both measure the bare call and the closure wrapper too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from statistics import median

from bench import own, peers
from bench.figure import Figure, Target
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
        added = _added([turn["own"][kind] for turn in turns])
        others = _added([turn["peers"][kind] for turn in turns])
        bare = median(turn["own"][kind][BARE] for turn in turns)
        found += _judged(kind, bare, added, {k: v for k, v in others.items() if k not in added})
    return found


def _added(turns: list[dict[str, float]]) -> dict[str, float]:
    return {name: median(turn[name] - turn[BARE] for turn in turns) for name in turns[0] if name != BARE}


def _judged(kind: str, bare: float, added: dict[str, float], others: dict[str, float]) -> list[Figure]:
    title, base = TITLES[kind], added[CLOSURE]
    found = [Figure(title, BARE, bare, "ns", note="itself")]
    for name, value in (added | others).items():
        found.append(Figure(title, name, value, "ns", TARGETS.get(name), value / base, "× closure"))
    span = others[peers.OTEL_SPAN]
    for name in (own.METRICS, own.SPAN):
        found.append(
            Figure(
                title, f"{name}, against {peers.OTEL_SPAN}", added[name], "ns", CHEAPER, span / added[name], "× cheaper"
            )
        )
    return found


def _in_child(side: str) -> dict[str, dict[str, float]]:
    command = [sys.executable, "-m", "bench.calls", side]
    done = subprocess.run(command, env=os.environ | offline(), stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


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
