"""The bench's own parts; what it measures is asserted nowhere."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent


def python(*arguments, **variables):
    env = os.environ | {"PYTHONPATH": str(TESTS)} | variables
    return subprocess.run([sys.executable, *arguments], env=env, capture_output=True, text=True, timeout=60)


def test_an_unknown_section_is_refused_with_the_known_ones():
    done = python("-m", "bench", "nonsense")
    assert done.returncode == 2
    assert "'nonsense'" in done.stderr
    assert "calls, strategies, caches, shared, attach, start, encode, ingest, requests, servers" in done.stderr


def test_a_figure_is_judged_by_what_is_compared_and_shown_as_met_or_short():
    done = python(
        "-c",
        "from bench.figure import Figure, Target, short\n"
        "from bench.table import markdown, text\n"
        "most, least = Target(6, '× closure'), Target(90, '% of bare', at_least=True)\n"
        "figures = [Figure('call', 'span', 700.0, 'ns', most, 6.5, '×'), Figure('call', 'rate', 91.0, '/s', least)]\n"
        "print(text(figures)); print(markdown(figures)); print([figure.variant for figure in short(figures)])\n",
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[1].split() == ["span", "700", "ns", "6.50", "×", "≤", "6", "×", "closure", "short"]
    assert lines[2].split() == ["rate", "91", "/s", "≥", "90", "%", "of", "bare", "met"]
    assert "| span | 700 ns | 6.50 × | ≤ 6 × closure | short |" in lines
    assert lines[-1] == "['span']"


def test_the_loop_measures_only_the_calls_it_makes():
    done = python(
        "-c",
        "from bench.rounds import Variant, measure\n"
        "made, kept = [], []\n"
        "def f(a, b): made.append(a + b)\n"
        "figures = measure('function', [Variant('one', f, calls=40, after=lambda: kept.append(len(made)))], 2)\n"
        "assert figures['one'] > 0\n"
        "print(kept, set(made))\n",
    )
    assert done.stderr == ""
    assert done.stdout.strip() == "[40, 80, 120] {3}"


def test_every_strategy_is_measured_and_every_line_of_its_can_be():
    done = python(
        "-c",
        "import pathlib, tempfile\n"
        "from mystic_agent.strategies import NAMES\n"
        "from bench.alone import ALONE, STACKS, lines, variant\n"
        "from bench.rounds import measure\n"
        "from bench.strategies import KINDS, offered\n"
        "assert {*NAMES} == {next(iter(line.strategies[0])) for line in ALONE.values()}\n"
        "assert {*STACKS} <= {name for kind in KINDS for name in lines(kind)}\n"
        "with offered():\n"
        "    for kind in KINDS:\n"
        "        few = [variant(kind, name, line._replace(calls=20)) for name, line in lines(kind).items()]\n"
        "        assert all(taken > 0 for taken in measure(kind, few, 2, min).values())\n",
    )
    assert (done.stderr, done.returncode) == ("", 0)


def test_a_redis_server_that_is_not_installed_is_left_out():
    done = python("-c", REDIS, PATH="")
    assert (done.stdout.strip(), done.stderr) == ("none", "")


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="there is no redis-server on the path")
def test_a_redis_server_answers_on_loopback_and_ends_with_the_bench():
    done = python("-c", REDIS)
    assert (done.stdout.strip(), done.stderr) == ("answered, gone", "")


def test_servers_are_left_out_with_a_reason_where_no_engine_can_run_them():
    done = python("-c", "from bench.servers import figures; print(figures())", MYSTIC_TEST_BASE_IMAGE="")
    assert done.stdout.strip() == "[]"
    assert "servers are left out: MYSTIC_TEST_BASE_IMAGE names no image" in done.stderr


def test_pods_are_left_out_with_a_reason_where_no_cluster_can_run_them():
    code = "from bench.pods import figures; print(figures('image'))"
    for variables, reason in (
        ({"MYSTIC_TEST_KUBE_LOAD": ""}, "MYSTIC_TEST_KUBE_LOAD brings no image"),
        ({"MYSTIC_TEST_KUBE_LOAD": "true", "KUBECONFIG": os.devnull}, "no cluster answers"),
    ):
        done = python("-c", code, **variables)
        assert done.stdout.strip() == "[]"
        assert f"pods are left out: {reason}" in done.stderr


REDIS = """
import socket, tempfile
from bench.redis import served

with tempfile.TemporaryDirectory() as folder, served(folder) as port:
    if not port:
        print("none")
        raise SystemExit
    with socket.create_connection(("127.0.0.1", port)) as asked:
        asked.sendall(b"PING\\r\\n")
        print("answered," if asked.recv(7) == b"+PONG\\r\\n" else "silent,", end=" ")
try:
    socket.create_connection(("127.0.0.1", port)).close()
except ConnectionRefusedError:
    print("gone")
"""
