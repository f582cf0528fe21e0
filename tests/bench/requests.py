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
from statistics import median

from bench import ways
from bench.figure import Figure, Target
from bench.process import BESIDE, MEASURED, Served, pinned, serving
from bench.settings import PROJECT, SHOP, clean
from bench.ways import Way

ROUNDS, SECONDS, WARM_SECONDS = 7, 1.0, 1.5
LONGEST_SECONDS = 60
OFF, DEFAULTS = "Mystic, governor off", "Mystic, default settings"
RATE = Target(90, "% of bare", at_least=True)
RATES = "Requests a second of a FastAPI application, {calls} calls of its own functions each"
COSTS = "CPU time of the same server, per request"
WAITS = "99th percentile of the same replies, 8 requests under way"


def figures() -> list[Figure]:
    """Measure; medians of the rounds, and shares of bare taken round by round."""
    env = clean() | {"PYTHONPATH": str(PROJECT / "tests")}
    with ExitStack() as undo:
        servers = undo.enter_context(_servers(env))
        for server in servers.values():
            _load(server, WARM_SECONDS, env)
        rounds = [{name: _load(server, SECONDS, env) for name, server in servers.items()} for _ in range(ROUNDS)]
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


def _load(server: Served, seconds: float, env: dict[str, str]) -> dict[str, float]:
    command = [*pinned(BESIDE), sys.executable, "-m", "bench.load", str(server.port), str(seconds)]
    done = subprocess.run(
        command, env=env, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True, timeout=LONGEST_SECONDS
    )
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@contextmanager
def _servers(env: dict[str, str]) -> Iterator[dict[str, Served]]:
    with ExitStack() as undo:
        folder = undo.enter_context(tempfile.TemporaryDirectory())
        collecting = [sys.executable, "-m", "bench.collector", f"{folder}/data"]
        collector = undo.enter_context(serving(collecting, env, PROJECT, BESIDE))
        sink = undo.enter_context(serving([sys.executable, "-m", "bench.sink"], env, PROJECT, BESIDE))
        started: list[Way] = [
            ways.bare(),
            ways.mystic(OFF, collector.port, MYSTIC_OVERHEAD_BUDGET="0"),
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
