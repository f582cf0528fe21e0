"""The commands, run as people run them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from mystic_collector.commands.lifetime import alive, wait_for_end

from .applications import application
from .conftest import PATIENCE, Running, until
from .messages import duration, metrics

PROGRAM = (sys.executable, "-m", "mystic_agent.cli")


def mystic(*words: str, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MYSTIC_", "PROJECT_ROOT"))}
    return subprocess.run(
        [*PROGRAM, *words], capture_output=True, text=True, timeout=60, cwd=cwd, env={**kept, **environ}
    )


@pytest.fixture
def ask(collector: Running) -> Callable[..., subprocess.CompletedProcess[str]]:
    port = str(collector.server.address[1])
    return lambda *words, **environ: mystic(*words, **{"MYSTIC_PORT": port, "MYSTIC_HOST": "0.0.0.0", **environ})


def test_discover_reads_a_project_without_a_collector(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text('def price():\n    """What it costs."""\ndef stock(): ...\n')
    (tmp_path / "bad.py").write_text("def (")
    done = mystic("discover", cwd=tmp_path)
    assert done.returncode == 0
    assert "shop:price" in done.stdout
    assert "What it costs." in done.stdout
    assert done.stderr.startswith("mystic: bad.py was left out; not readable as Python")
    found = json.loads(mystic("discover", "PRI", "--root", str(tmp_path), "--format", "json").stdout)
    assert [one["function"] for one in found["functions"]] == ["shop:price"]
    assert mystic("discover", "--root", str(tmp_path / "none")).returncode == 2


def test_status_shows_the_slowest_first_with_hijacks_drops_and_overhead(
    collector: Running, ask: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    facts = {("mystic.agent.dropped", "spans"): 3, ("mystic.agent.overhead", ""): 0.012}
    collector.otlp("/v1/metrics", metrics(duration("app:quick", {4: 99}), duration("app:slow", {28: 2}), facts=facts))
    collector.report("i1", [{"function": "app:slow", "state": "attached"}])
    collector.post("/api/hijacks", {"target": "app:slow", "stages": {"*": ["observe"]}, "owner": "ann"}, 201)
    collector.settle()
    done = ask("status")
    assert done.returncode == 0, done.stderr
    assert done.stdout.index("app:slow") < done.stdout.index("app:quick")
    for text in ("shop", "1.20%", "dropped 3 spans", "ann", "*:observe", "403 ms"):
        assert text in done.stdout
    found = json.loads(ask("status", "--format", "json", "--top", "1").stdout)
    assert set(found) == {"status", "metrics", "hijacks", "stale", "overhead"}
    assert len(found["metrics"]["functions"]) == 1


def on_a_terminal(columns: int, *words: str, **environ: str) -> list[str]:
    """Return the lines of a command whose stdout is a terminal of ``columns`` columns."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MYSTIC_") and name != "COLUMNS"}
    process = subprocess.Popen([*PROGRAM, *words], stdout=theirs, stdin=subprocess.DEVNULL, env={**kept, **environ})
    os.close(theirs)
    shown = b""
    with open(ours, "rb", buffering=0) as terminal, contextlib.suppress(OSError):  # EIO is a terminal's end
        while chunk := terminal.read(65536):
            shown += chunk
    assert process.wait(PATIENCE) == 0
    return shown.decode().splitlines()


def test_long_names_are_cut_from_the_left_on_a_terminal_and_whole_in_a_pipe(
    collector: Running, ask: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    name = "application.deeply.nested.package.of.registries.registry:GenericRegistry._after_init"
    collector.otlp("/v1/metrics", metrics(duration(name, {4: 99}), duration("app:f", {4: 1})))
    collector.post("/api/hijacks", {"target": name, "stages": {"*": ["observe"]}}, 201)
    collector.settle()
    port = str(collector.server.address[1])
    assert ask("status").stdout.count(name) == 2
    for columns in (90, 120):
        lines = on_a_terminal(columns, "status", MYSTIC_PORT=port)
        cut = [line for line in lines if "_after_init" in line]
        assert len(cut) == 2, lines
        assert all("…" in line and "Registry._after_init" in line for line in cut)
        assert max(map(len, cut)) <= columns
        assert any(line.startswith("app:f ") for line in lines)
    assert sum(name in line for line in on_a_terminal(300, "status", MYSTIC_PORT=port)) == 2


def test_hijack_waits_for_the_processes_and_names_each_failure(
    collector: Running, ask: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    registry, fleet = collector.parts.registry, collector.parts.fleet
    for instance in ("i1", "i2"):
        collector.report(instance, [{"function": "app:slow", "state": "attached"}])

    def answer() -> None:  # play the two processes
        snapshot = registry.snapshot()
        mine = [one.id for one in snapshot.hijacks]
        if mine:
            good = {"function": "app:slow", "state": "attached", "hijacks": mine}
            bad = {"function": "app:slow", "state": "failed", "hijacks": mine, "reason": "it is\x1b[31m a generator"}
            collector.report("i1", [good], version=snapshot.version)
            collector.report("i2", [bad], version=snapshot.version)

    undo = registry.listen(answer)
    done = ask(
        "hijack", "slow", "--cache", "ttl=30m", "ignore=page,lang", "--log", "--reason", "repeats", "--expires", "1h"
    )
    undo()
    assert done.returncode == 0, done.stderr
    assert "on app:slow: attached in 1 of 2 processes" in done.stdout
    assert "app:slow in process 7 is failed: it is[31m a generator" in done.stdout
    assert "\x1b" not in done.stdout
    [one] = registry.snapshot().hijacks
    cache, log = one.stages["*"]
    assert (cache.name, cache.options["ttl"], cache.options["ignore"], log.name) == (
        "cache",
        1800,
        ("page", "lang"),
        "log",
    )
    assert one.reason == "repeats"
    assert one.owner
    assert one.expires_at is not None
    assert fleet.processes()


def test_a_hijack_that_every_process_refuses_is_a_failure_and_silent_processes_are_told_apart(
    collector: Running, ask: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    registry = collector.parts.registry
    for instance in ("i1", "ended"):
        collector.report(instance, [{"function": "app:slow", "state": "attached"}])

    def answer() -> None:  # of the one that lives
        snapshot = registry.snapshot()
        bad = {"function": "app:slow", "state": "failed", "hijacks": [snapshot.hijacks[0].id], "reason": "a generator"}
        collector.report("i1", [bad], version=snapshot.version)

    undo = registry.listen(answer)
    done = ask("hijack", "app:slow", "--cache", "ttl=30m")
    undo()
    assert (done.returncode, "app:slow in process 7 is failed: a generator" in done.stdout) == (1, True), done.stdout
    assert "  1 of 2 is silent: ended, or cut off; it is asked no more" in done.stdout
    assert "not answered yet" not in done.stdout


def test_decisions_of_what_is_in_force_come_first_and_inspect_has_their_reasons(
    collector: Running, ask: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    (collector.parts.settings.project_root / "app.py").write_text("def slow(basket):\n    return basket\n")
    collector.report("i1", [{"function": "app:slow", "state": "attached", "line": 1}])
    collector.otlp(
        "/v1/metrics",
        metrics(
            duration("app:slow", {20: 9}),
            decisions={
                **{("app:slow", "shadow", name): 50 + number for number, name in enumerate("abcd")},
                ("app:slow", "cache", "bypass", "argument of type app.Basket"): 9,
            },
        ),
    )
    collector.post("/api/hijacks", {"target": "app:slow", "stages": {"*": [{"cache": {"ttl": "1m"}}]}}, 201)
    collector.settle()
    assert "  cache bypass 9, shadow d 53, shadow c 52, shadow b 51, …" in ask("status").stdout
    assert "  cache bypass 9: argument of type app.Basket\n" in ask("inspect", "slow").stdout


def test_hijack_says_when_nothing_runs(ask: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = ask("hijack", "app:f", "--observe", "--stage", "production", "--service", "shop", "--format", "json")
    assert json.loads(done.stdout)["progress"]["processes"] == 0
    assert "in force in those that start" in ask("hijack", "app:f", "--observe").stdout


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["hijack", "app:f"], "no strategy is given; add at least one of --observe, --"),
        (["hijack", "app:f", "--cache", "ttl"], "--cache takes OPTION=VALUE, not 'ttl'; its options are ttl, stale"),
        (
            ["hijack", "app:f", "--rate-limit", "5"],
            "--rate-limit takes OPTION=VALUE, not '5'; its options are rate",
        ),
        (["hijack", "app:f", "--cache", "ttl=soon"], "cache.ttl is 'soon'; give a positive duration"),
        (["hijack", "nothing", "--cache"], "target is 'nothing'; no such function is known"),
        (["hijack", "app:f", "--observe", "--expires", "x"], "expires_in is 'x'; give a positive duration"),
        (["release", "app:f"], "no hijack is 'app:f'"),
        (["status", "--top", "many"], "--top is 'many'; give a whole number"),
        (["status", "--port", "eight"], "MYSTIC_PORT is 'eight'; give a whole number"),
        (["inspect", "nothing"], "function is 'nothing'; no such function is known"),
        (["serve", "--until-pid", "-1"], "--until-pid is '-1'; give the id of a process"),
        (["serve", "--port", "eight"], "MYSTIC_PORT is 'eight'; give a whole number"),
    ],
)
def test_bad_usage_ends_with_2_and_the_remedy(
    ask: Callable[..., subprocess.CompletedProcess[str]], words: list[str], text: str
) -> None:
    done = ask(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("mystic: ")
    assert text in done.stderr


def test_release_takes_an_id_a_target_or_a_name(
    collector: Running, ask: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    def add() -> str:
        body = {"target": "app:Deep.f", "stages": {"*": ["observe"]}}
        return str(collector.post("/api/hijacks", body, 201)["id"])

    for name in ("", "app:Deep.f", "Deep.f", "f"):
        identity = add()
        done = ask("release", name or identity)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("released app:Deep.f (")
        assert collector.get("/api/hijacks")["count"] == 0


def test_inspect_shows_the_source(collector: Running, ask: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    (collector.parts.settings.project_root / "shop.py").write_text("def price(n: int) -> int:\n    return n\n")
    done = ask("inspect", "price")
    assert done.returncode == 0, done.stderr
    assert "price(n: int) -> int" in done.stdout
    assert json.loads(ask("inspect", "price", "--format", "json").stdout)["metrics"] is None


def test_no_collector_is_a_failure_with_a_remedy(tmp_path: Path) -> None:
    done = mystic("status", MYSTIC_PORT="1")
    assert done.returncode == 1
    assert done.stderr.startswith("mystic: no collector answers at http://127.0.0.1:1 (ConnectError); start one with")


def test_a_key_is_sent_and_its_absence_explained(start: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k-123\n")
    with start(api_key="k-123") as collector:
        port = str(collector.server.address[1])
        assert mystic("status", MYSTIC_PORT=port, MYSTIC_API_KEY_FILE=str(tmp_path / "key")).returncode == 0
        done = mystic("status", MYSTIC_PORT=port)
        assert (done.returncode, "set MYSTIC_API_KEY" in done.stderr) == (1, True)


class Served:
    """``mystic serve`` in a process of its own."""

    def __init__(self, folder: Path, *words: str, **environ: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MYSTIC_")}
        self.log = (folder / "log").open("w+")
        self.process = subprocess.Popen(
            [*PROGRAM, "serve", "--port", "0", *words],
            env={**kept, "PROJECT_ROOT": str(folder), **environ},
            stdout=subprocess.PIPE,
            stderr=self.log,
        )
        self.url = until(self._listening, "listening")

    def _listening(self) -> str:
        assert self.process.poll() is None, self.said()
        return next((line.split()[-1] for line in self.said().splitlines() if "listening on" in line), "")

    def said(self) -> str:
        return Path(self.log.name).read_text()

    def end(self, signum: int) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signum)
        code = self.process.wait(PATIENCE)
        assert self.process.stdout is not None
        assert self.process.stdout.read() == b""
        self.process.stdout.close()
        self.log.close()
        return code


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_serve_ends_on_a_signal_with_everything_kept_and_is_silent_on_stdout(tmp_path: Path, signum: int) -> None:
    for calls in (5, 9):
        served = Served(tmp_path)
        sent = metrics(duration("app:f", {10: calls})).SerializeToString()
        headers = {"content-type": "application/x-protobuf"}
        httpx.post(f"{served.url}/v1/metrics", content=sent, headers=headers, trust_env=False)
        assert served.end(signum) == 0
    again = Served(tmp_path)
    found = httpx.get(f"{again.url}/api/metrics", trust_env=False).json()
    again.end(signal.SIGTERM)
    assert found["functions"][0]["call_count"] == 9


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)


def let_end(process: subprocess.Popen[bytes]) -> None:
    """Let it end without waiting for it: it stays as a zombie until somebody does."""
    assert process.stdin is not None
    process.stdin.close()


def test_serve_ends_soon_after_the_process_it_was_started_for_also_when_nobody_buries_that(tmp_path: Path) -> None:
    process = sleeper()
    served = Served(tmp_path, "--until-pid", str(process.pid))
    let_end(process)
    assert served.process.wait(PATIENCE) == 0
    served.end(signal.SIGTERM)
    process.wait()


def test_serve_stays_while_another_agent_listens(tmp_path: Path) -> None:
    process = sleeper()
    served = Served(tmp_path, "--until-pid", str(process.pid))
    with application(served.url, tmp_path / "left", "input()\n"):
        let_end(process)
        until(lambda: f"process {process.pid} has ended; staying for 1 that" in served.said(), "the end")
        assert served.process.poll() is None
    assert served.process.wait(PATIENCE) == 0
    served.end(signal.SIGTERM)
    process.wait()


def test_a_process_is_alive_until_it_ends_and_neither_as_a_zombie_nor_afterwards() -> None:
    process = sleeper()
    assert alive(process.pid)
    let_end(process)
    wait_for_end(process.pid)
    assert not alive(process.pid)
    assert process.wait() == 0
    assert not alive(process.pid)
    wait_for_end(process.pid)


def test_serve_refuses_a_taken_port_a_taken_folder_and_bad_settings(tmp_path: Path) -> None:
    served = Served(tmp_path)
    port = served.url.rpartition(":")[2]
    try:
        for words, environ, code, text in (
            (["--port", port], {"MYSTIC_DATA_DIR": str(tmp_path / "d")}, 1, f"cannot listen on 127.0.0.1:{port}"),
            (["--port", "0"], {}, 1, "another collector uses"),
            (["--port", "0"], {"MYSTIC_RETENTION": "long"}, 2, "MYSTIC_RETENTION is 'long'; give a positive duration"),
        ):
            done = mystic("serve", *words, PROJECT_ROOT=str(tmp_path), **environ)
            assert (done.returncode, done.stdout) == (code, "")
            assert text in done.stderr
    finally:
        served.end(signal.SIGTERM)


@pytest.mark.parametrize("name", ["serve", "init", "discover", "inspect", "status", "hijack", "release"])
def test_help_shows_an_example(name: str) -> None:
    done = mystic(name, "--help")
    assert done.returncode == 0
    assert f"mystic {name}" in done.stdout.partition("example:")[2]
