"""The real agent, seen through its public state, in each way of switching it on."""

from __future__ import annotations

import sys

import pytest

APP = """
import sys
def doubled(n):
    return 2 * n
print(doubled(21), sys.argv[1:])
lifecycle = sys.modules.get("mystic_agent.lifecycle")
print(bool(lifecycle and lifecycle.active()))
"""
EXPECTED = "42 ['--x']\nTrue\n"


@pytest.fixture(scope="session")
def real(install):
    """A Python with the real agent installed."""
    return install(False)


def test_pythonpath_switches_the_real_agent_on(host, bare, copied, script):
    ended = host.run([bare, script(APP), "--x"], PYTHONPATH=copied)
    assert (ended.code, ended.out, ended.err) == (0, EXPECTED, "")


def test_the_environment_switches_the_real_agent_on(host, real, script):
    ended = host.run([real, script(APP), "--x"], MYSTIC_ENABLED="true")
    assert (ended.code, ended.out, ended.err) == (0, EXPECTED, "")


def test_the_isolated_mode_still_obeys_the_environment(host, real, script):
    ended = host.run([real, "-I", script(APP), "--x"], MYSTIC_ENABLED="true")
    assert (ended.code, ended.out, ended.err) == (0, EXPECTED, "")


def test_mystic_run_switches_the_real_agent_on(host, script):
    argv = [sys.executable, "-m", "mystic_agent.cli", "run", "--no-collector", "--", sys.executable, script(APP), "--x"]
    ended = host.run(argv)
    assert (ended.code, ended.out, ended.err) == (0, EXPECTED, "")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_the_real_agent_is_at_work_in_the_children_of_multiprocessing(host, bare, copied, script, method):
    app = script(
        "import multiprocessing\n"
        "def work(n):\n"
        "    from mystic_agent import lifecycle\n"
        "    return lifecycle.active()\n"
        "if __name__ == '__main__':\n"
        f"    with multiprocessing.get_context({method!r}).Pool(2) as pool:\n"
        "        print(pool.map(work, range(4)))\n"
    )
    ended = host.run([bare, app], PYTHONPATH=copied)
    assert (ended.code, ended.out, ended.err) == (0, "[True, True, True, True]\n", "")


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("", 0),
        ("raise SystemExit(3)", 3),
        ("raise ValueError('no')", 1),
        ("import os; os._exit(4)", 4),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15),
        ("raise KeyboardInterrupt", -2),
        ("import atexit; atexit.register(lambda: print('late', 1 + 1))", 0),
        ("import threading; threading.Thread(target=print, args=('thread',)).start()", 0),
        ("import os; os.close(1)", 0),
    ],
)
def test_an_application_ends_as_it_does_without_the_agent_when_no_collector_answers(
    host, bare, copied, script, ending, code
):
    app = script(f"def f(n): return n + 1\nprint(f(1), flush=True)\n{ending}\n")
    with_us = host.run([bare, app], PYTHONPATH=copied)
    assert with_us == host.run([bare, app])
    assert with_us.code == code
