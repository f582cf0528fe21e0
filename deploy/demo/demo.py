"""The five-minute tour: a third-party web application, unmodified, is observed and sped up while it runs.

The application is datasette from PyPI over a small database that is made here. Its slowest functions are printed, one
of them gets a cache while the service runs, and the same requests are measured again. Everything listens on
127.0.0.1. With ``--keep`` the service and the collector stay until Ctrl-C, to look at.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

FUNCTION = "datasette.database:Database.execute"
ENTRANCE = "datasette.app:DatasetteRouter.__call__"
"""Called exactly once for each request."""
_REPORT = "select {0}, count(*) n, round(sum(amount), 2) total from orders group by {0} order by total desc limit 9"
PAGES = [
    *(f"/shop.json?_shape=array&sql={quote(_REPORT.format(column))}" for column in ("customer", "product")),
    f"/shop?sql={quote(_REPORT.format('product'))}",
]
"""Reports over all orders, as JSON and as a page: what people open again and again."""
READY_SECONDS = 60.0
FIRST = 1  # the request that finds out whether the service is ready


def make_database(path: Path, rows: int = 150_000) -> None:
    """Write a shop's orders, the same every time."""
    chance = random.Random(7)  # noqa: S311 -- made-up rows, no secret
    orders = (
        (i, f"c{chance.randrange(400)}", f"p{chance.randrange(50)}", round(chance.random() * 100, 2))
        for i in range(rows)
    )
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("create table orders (id integer primary key, customer text, product text, amount real)")
        connection.executemany("insert into orders values (?, ?, ?, ?)", orders)
        connection.commit()


def free_port(preferred: int = 0) -> int:
    """Return ``preferred`` when nothing listens there, else any free port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(*command: str, log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in the background and end it afterwards."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=output, stderr=output)  # noqa: S603
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when ``url`` answers; raise SystemExit with the end of the log when it never does."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(url, timeout=READY_SECONDS)
            return
        time.sleep(0.05)
    raise SystemExit(f"demo: {url} does not answer; the end of its log:\n{log.read_text()[-2000:]}")


def ask(client: httpx.Client, rounds: int) -> tuple[list[float], list[int]]:
    """Request every page ``rounds`` times; return seconds per request and the sizes of the answers."""
    seconds, sizes = [], []
    for _ in range(rounds):
        for page in PAGES:
            began = time.perf_counter()
            answer = client.get(page).raise_for_status()
            seconds.append(time.perf_counter() - began)
            sizes.append(len(answer.json()) if ".json" in page else answer.text.count("<tr>"))
    return seconds, sizes


def figures(collector: httpx.Client, requests: int) -> list[dict[str, Any]]:
    """Return what the collector knows of the functions, once all ``requests`` have been counted at ENTRANCE."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        functions: list[dict[str, Any]] = collector.get("/api/metrics", params={"limit": 2000}).json()["functions"]
        counted = sum(f["call_count"] for f in functions if f["name"] == ENTRANCE)
        if counted == requests:
            return functions
        if time.monotonic() > deadline:
            raise SystemExit(f"demo: {requests} requests were sent, {counted} calls of {ENTRANCE} were counted")
        time.sleep(0.2)


def show_slowest(functions: list[dict[str, Any]], count: int = 8) -> None:
    """Print where the time went: the functions with most time in all."""
    own = [f for f in functions if "vendored" not in f["name"] and f["call_count"] > 1]
    print(f"\n  {'slowest functions, by time in all':<72} {'calls':>6} {'average':>10}")
    for f in sorted(own, key=lambda f: -float(f["total_time"]))[:count]:
        print(f"  {f['name']:<72} {f['call_count']:>6} {f['avg_time'] * 1e3:>7.2f} ms")


def hijack(collector: httpx.Client) -> str:
    """Put a cache on FUNCTION and return the hijack's id when every process has it in force.

    A query returns the same over any thread's connection and in any trace, which only people know: without ``ignore``
    the cache is refused.
    """
    ignore = ["local:datasette.database:connections", "contextvar:datasette.tracer:trace_task_id"]
    cache = {"ttl": "10m", "identity": ["name"], "copy": "never", "ignore": ignore}
    reason = "the same queries come again and again"
    made = collector.post(
        "/api/hijacks",
        json={"target": FUNCTION, "stages": [{"cache": cache}], "owner": "demo", "reason": reason, "expires_in": "1h"},
    ).raise_for_status()
    identity = str(made.json()["id"])
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        progress = collector.get(f"/api/hijacks/{identity}").json()["progress"]
        if progress["answered"] == progress["processes"]:
            break
        time.sleep(0.02)
    if not progress["attached"] == progress["processes"] > 0:
        raise SystemExit(f"demo: the cache on {FUNCTION} was not attached: {progress}")
    return identity


def compare(before: list[float], after: list[float]) -> None:
    """Print the measured difference."""
    print(f"\n  {'':<24} {'median':>10} {'slowest':>10} {'requests/s':>12}")
    for name, seconds in (("before", before), ("with the cache", after)):
        median, slowest = statistics.median(seconds) * 1e3, max(seconds) * 1e3
        print(f"  {name:<24} {median:>7.2f} ms {slowest:>7.2f} ms {len(seconds) / sum(seconds):>12.1f}")
    print(f"  {'':<24} {statistics.median(before) / statistics.median(after):>6.1f} times faster")


def show_hits(functions: list[dict[str, Any]]) -> None:
    """Print how the cache decided; raise SystemExit when it never had anything."""
    [cached] = [f for f in functions if f["name"] == FUNCTION]
    decided = {one["decision"]: one["count"] for one in cached["decisions"] if one["strategy"] == "cache"}
    if not decided.get("hit"):
        raise SystemExit(f"demo: the cache on {FUNCTION} never had a result: {cached['decisions']}")
    told = ", ".join(f"{decision} {count}" for decision, count in sorted(decided.items()))
    print(f"  decisions of the cache: {told}")


def tour(collector_url: str, service_url: str, rounds: int) -> None:
    """Observe, change, measure, undo."""
    with (
        httpx.Client(base_url=collector_url, timeout=30) as collector,
        httpx.Client(base_url=service_url, timeout=60) as service,
    ):
        warm, _ = ask(service, 1)
        before, content = ask(service, rounds)
        functions = figures(collector, FIRST + len(warm) + len(before))
        calls = sum(f["call_count"] for f in functions)
        print(f"{len(before)} requests answered; {len(functions)} functions are hijacked, {calls} calls counted.")
        show_slowest(functions)
        print(f"\nAdding a cache to {FUNCTION}, while it runs …")
        identity = hijack(collector)
        filled, _ = ask(service, 1)
        after, same = ask(service, rounds)
        if same != content:
            raise SystemExit("demo: the answers changed with the cache; please report this")
        compare(before, after)
        show_hits(figures(collector, FIRST + len(warm) + len(before) + len(filled) + len(after)))
        collector.delete(f"/api/hijacks/{identity}").raise_for_status()
        print("\nThe cache is released again; not a line of the application was changed.")


def main() -> int:
    """Run the tour; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--keep", action="store_true", help="stay until Ctrl-C")
    parser.add_argument("--rounds", type=int, default=20, help="how often every page is requested")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mystic-demo-") as folder, contextlib.ExitStack() as stack:
        home = Path(folder)
        make_database(home / "shop.db")
        port, service_port = free_port(8899), free_port(8001)
        collector_url, service_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{service_port}"
        shared = {"MYSTIC_HOST": "127.0.0.1", "MYSTIC_PORT": str(port), "PROJECT_ROOT": folder, "MYSTIC_API_KEY": ""}
        mystic = str(Path(sys.executable).with_name("mystic"))
        log = home / "collector.log"
        process = stack.enter_context(running(mystic, "serve", log=log, **shared))
        wait_for(f"{collector_url}/health", process, log)
        log = home / "datasette.log"
        command = [mystic, "run", "--no-collector", "--", sys.executable, "-m", "datasette", "serve"]
        process = stack.enter_context(
            running(
                *command, str(home / "shop.db"), "--port", str(service_port), log=log,
                MYSTIC_SERVICE="datasette", MYSTIC_TARGETS="datasette*:*", MYSTIC_ENABLED="true", **shared,
            )
        )  # fmt: skip
        wait_for(f"{service_url}/-/versions.json", process, log)
        print(f"datasette runs unmodified under the agent at {service_url}, the collector at {collector_url}.")
        tour(collector_url, service_url, options.rounds)
        print(f"\n  the service   {service_url}\n  its functions {collector_url}/api/metrics")
        print(f"  its processes {collector_url}/api/status\n  the whole API {collector_url}/openapi.json")
        if options.keep:
            print(f"\nStill running; try: MYSTIC_PORT={port} {mystic} status    (Ctrl-C ends)")
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
