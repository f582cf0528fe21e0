"""Added time per call: each strategy alone, and stacks of three against the sum of their parts."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from mystic_agent.observe.trace import Tracer
from mystic_agent.strategies.custom import GROUP

from bench import implementation, own
from bench.alone import CUSTOM, STACKS, lines, variant
from bench.calls import BARE, CLOSURE
from bench.figure import Figure, Target
from bench.process import answered
from bench.rounds import Variant, measure
from bench.settings import offline
from bench.subject import closure, fresh

KINDS = ("function", "coroutine")
TURNS, ROUNDS = 3, 31
TITLES = {
    "function": "Strategies on a function, time added to a call",
    "coroutine": "Strategies on a coroutine function, time added to a call",
}
SUM = Target(1.5, "× its parts")
Times = dict[str, float]


def figures() -> list[Figure]:
    """Measure; nanoseconds added over the bare call."""
    turns = [answered("bench.strategies", env=os.environ | offline()) for _ in range(TURNS)]
    return [figure for kind in KINDS for figure in _judged(kind, [turn[kind] for turn in turns])]


def _judged(kind: str, turns: list[Times]) -> list[Figure]:
    title, added = TITLES[kind], [{name: ns - turn[BARE] for name, ns in turn.items()} for turn in turns]
    found = [Figure(title, BARE, median(turn[BARE] for turn in turns), "ns", note="itself")]
    for name in turns[0]:
        value = median(turn[name] for turn in added)
        if name in STACKS:
            ratio = median(turn[name] / _sum(turn, STACKS[name]) for turn in added)
            found.append(Figure(title, f"stack of three: {name}", value, "ns", SUM, ratio, "× its parts"))
        elif name != BARE:
            ratio = median(turn[name] / turn[CLOSURE] for turn in added)
            found.append(Figure(title, name, value, "ns", None, ratio, "× closure"))
    return found


def _sum(added: Times, parts: tuple[str, ...]) -> float:
    """Return what the parts add together, with the observing that each has alone counted once."""
    observing = added[own.METRICS]
    return observing + sum(max(added[part] - observing, 0) for part in parts)


def _variants(kind: str) -> list[Variant]:
    common = [Variant(BARE, fresh(kind)), Variant(CLOSURE, closure(kind))]
    common.append(Variant(own.METRICS, own.hooked(fresh(kind), Tracer(0))))
    return common + [variant(kind, name, line) for name, line in lines(kind).items()]


@contextmanager
def offered() -> Iterator[None]:
    """Have an installed package offer the custom strategy that is measured."""
    with tempfile.TemporaryDirectory() as folder:
        info = Path(folder) / "bench_offer-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-offer\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{CUSTOM} = {implementation.__name__}:Through\n")
        sys.path.append(folder)
        yield
        sys.path.remove(folder)


if __name__ == "__main__":
    with offered():
        print(json.dumps({kind: measure(kind, _variants(kind), ROUNDS, min) for kind in KINDS}))
