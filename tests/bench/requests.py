"""A FastAPI application that makes some sixty small calls a request: bare, under Mystic, under the peers.

All servers run from the beginning on one core, and one after another is loaded from the other core, in rounds.
What they export goes to receivers on that other core: ours to our collector, the peers' to one that says yes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from random import Random
from statistics import median

from bench import ways
from bench.figure import Figure, Target
from bench.process import BESIDE, MEASURED, Served, pinned, serving
from bench.settings import PROJECT, SHOP, clean
from bench.ways import Way

ROUNDS, SECONDS, WARM_SECONDS = 60, 0.12, 1.5
LONGEST_SECONDS = 60
OFF, DEFAULTS = "Mystic, governor and analysis off", "Mystic, default settings"
RATE = Target(90, "% of bare", at_least=True)
RATES = "Requests a second of a FastAPI application, {calls} calls of its own functions each"
COSTS = "CPU time of the same server, per request"
WAITS = "99th percentile of the same replies, 8 requests under way"


def figures() -> list[Figure]:
    """Measure; medians of the rounds, and shares of bare taken round by round."""
    env = clean() | {"PYTHONPATH": str(PROJECT / "tests")}
    with ExitStack() as undo:
        servers = undo.enter_context(_servers(env))
        loader = undo.enter_context(_loader(env))
        for server in servers.values():
            loader.load(server, WARM_SECONDS)
        rounds = [_round(loader, servers, Random(number)) for number in range(ROUNDS)]
    return _figures(rounds, _calls_per_request())


def _figures(rounds: list[dict[str, dict[str, float]]], calls: int) -> list[Figure]:
    def of(name: str, key: str) -> float:
        return median(one[name][key] for one in rounds)

    def share(name: str, key: str) -> float:
        return median(one[name][key] / one[ways.BARE][key] for one in rounds) * 100

    names, rates = list(rounds[0]), RATES.format(calls=calls)
    found = []
    for name in names:
        target = RATE if name == OFF else None
        found.append(Figure(rates, name, of(name, "per_second"), "/s", target, share(name, "per_second"), "% of bare"))
    found += [Figure(COSTS, n, of(n, "cpu_us"), "µs", None, share(n, "cpu_us"), "% of bare") for n in names]
    return found + [Figure(WAITS, name, of(name, "p99_ms"), "ms") for name in names]


class _Loader:
    """The process that asks, on the core beside."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def load(self, server: Served, seconds: float) -> dict[str, float]:
        """Load one server for so long; return the figures.

        Raises:
            RuntimeError: when the loader ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{server.port} {seconds}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process that loads the servers has ended")
        return json.loads(line)  # type: ignore[no-any-return]


def _round(loader: _Loader, servers: dict[str, Served], chance: Random) -> dict[str, dict[str, float]]:
    """Load every server once, in an order that changes, so that none always follows the same other."""
    order = list(servers)
    chance.shuffle(order)
    taken = {name: loader.load(servers[name], SECONDS) for name in order}
    return {name: taken[name] for name in servers}


@contextmanager
def _loader(env: dict[str, str]) -> Iterator[_Loader]:
    command = [*pinned(BESIDE), sys.executable, "-m", "bench.load"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=env, cwd=PROJECT, stdin=pipe, stdout=pipe, text=True) as process:
        yield _Loader(process)


@contextmanager
def _servers(env: dict[str, str]) -> Iterator[dict[str, Served]]:
    with ExitStack() as undo:
        folder = undo.enter_context(tempfile.TemporaryDirectory())
        collecting = [sys.executable, "-m", "bench.collector", f"{folder}/data"]
        collector = undo.enter_context(serving(collecting, env, PROJECT, BESIDE))
        sink = undo.enter_context(serving([sys.executable, "-m", "bench.sink"], env, PROJECT, BESIDE))
        started: list[Way] = [
            ways.bare(),
            ways.mystic(OFF, collector.port, MYSTIC_OVERHEAD_BUDGET="0", MYSTIC_ANALYZE="off"),
            ways.mystic(DEFAULTS, collector.port),
            *ways.peers(f"http://127.0.0.1:{sink.port}"),
        ]
        yield {
            way.name: undo.enter_context(serving(way.command("serve.py"), way.env, SHOP, MEASURED)) for way in started
        }


def _calls_per_request() -> int:
    """Count the calls of the shop's own functions that one quote makes, by the interpreter's profiler."""
    program = (
        "import asyncio, pathlib, sys, app\n"
        "home, made = str(pathlib.Path(app.__file__).parent), []\n"
        "def note(frame, event, _):\n"
        "    code = frame.f_code\n"
        "    if event == 'call' and code.co_filename.startswith(home) and not code.co_name.startswith('<'):\n"
        "        made.append(code)\n"
        "async def main():\n"
        "    sys.setprofile(note)\n"
        "    await app.get_quote(1)\n"
        "    sys.setprofile(None)\n"
        "asyncio.run(main())\n"
        "print(len(made))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, env=clean(), cwd=SHOP, stdout=subprocess.PIPE, text=True, check=True, timeout=LONGEST_SECONDS
    )
    return int(done.stdout)
