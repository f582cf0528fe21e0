"""mystic logs and mystic snapshots, run as people run them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Running
from .messages import START, log
from .test_state import send, snapshot

PROGRAM = (sys.executable, "-m", "mystic_agent.cli")
SECOND = 10**9


def environment(collector: Running) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MYSTIC_", "PROJECT_ROOT"))}
    return {**kept, "MYSTIC_PORT": str(collector.server.address[1]), "TZ": "UTC"}


@pytest.fixture
def ask(collector: Running) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *words], capture_output=True, text=True, timeout=60, env=environment(collector)
        )

    return run


def test_logs_are_shown_newest_last_on_one_line_each(collector: Running, ask: Any) -> None:
    send(
        collector,
        log("app:pay(amount=1) returned in 1.000 ms", event="mystic.log", function="app:pay", time=START),
        log("colour \x1b[31m\nred", event="paint", function="app:paint", time=START + SECOND, severity=17),
        log("plain", time=START + 2 * SECOND),
    )
    done = ask("logs")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "2023-11-14 22:13:20 info    app:pay(amount=1) returned in 1.000 ms",
        "2023-11-14 22:13:21 error   paint app:paint: colour [31m red",
        "2023-11-14 22:13:22 info    shop: plain",
    ]
    assert ask("logs", "app:pay").stdout.count("\n") == 1
    assert ask("logs", "--level", "error", "--text", "RED").stdout.count("\n") == 1
    assert ask("logs", "app:none").stdout == "no such record is kept\n"
    found = json.loads(ask("logs", "--format", "json", "--limit", "1").stdout)
    assert (found["count"], found["logs"][0]["message"], found["logs"][0]["captured"]) == (1, "plain", True)
    done = ask("logs", "--level", "loud")
    assert (done.returncode, done.stdout) == (2, "")
    assert "level is 'loud'; give one of" in done.stderr
    assert ask("logs", "--limit", "0").returncode == 2


def test_following_shows_what_arrives_until_it_is_interrupted(collector: Running) -> None:
    send(collector, log("old", time=START))
    process = subprocess.Popen(
        [*PROGRAM, "logs", "--follow"], stdout=subprocess.PIPE, text=True, env=environment(collector)
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().endswith("shop: old\n")
        send(collector, log("later", time=START - SECOND))
        assert process.stdout.readline().endswith("shop: later\n")
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""
        assert process.wait(20) == 130
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_snapshots_are_listed_and_one_is_shown_in_full(collector: Running, ask: Any) -> None:
    frames = [{"function": "pay", "file": "app.py", "line": 7, "locals": {"share": "125.0"}}]
    cause = {"type": "KeyError", "message": "eur", "frames": [], "cause": None}
    failed = {"type": "app.Refused", "message": "too much", "notes": ["ask"], "frames": frames, "cause": cause}
    send(
        collector,
        snapshot("app:pay", START, exception=failed),
        snapshot("app:pay", START + SECOND, 2, exception=None, result="{'amount': 7}", arguments_at="end"),
    )
    done = ask("snapshots", "app:pay")
    assert (done.returncode, done.stderr) == (0, "")
    head, first, second = done.stdout.splitlines()
    assert head.split() == ["ID", "WHEN", "FUNCTION", "TOOK", "ARGUMENTS", "OUTCOME"]
    assert first.endswith("raised app.Refused: too much")
    assert second.endswith("returned {'amount': 7}")
    whole = ask("snapshots", "--id", first.split()[0]).stdout
    assert whole.splitlines() == [
        "app:pay at 2023-11-14 22:13:20, took 250 ms, 1 of 3",
        "  in shop i1 (MainThread)",
        "  arguments:",
        "    amount = 250",
        "    note = 'a[31m'",
        "  raised app.Refused: too much",
        "    note: ask",
        "    pay in app.py:7",
        "      share = 125.0",
        "  because of KeyError: eur",
        "  called by:",
        "    main in app.py:9",
    ]
    assert "  arguments (as the call left them):\n" in ask("snapshots", "--id", second.split()[0]).stdout
    assert json.loads(ask("snapshots", "--format", "json").stdout)["count"] == 2
    done = ask("snapshots", "--id", "99")
    assert (done.returncode, done.stderr) == (1, "mystic: there is no snapshot 99; 'mystic snapshots' lists them\n")
    assert "no snapshot is kept" in ask("snapshots", "app:other").stdout
