"""uWSGI forks past Python: its workers are begun by its own hook (H5)."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
from mystic_agent import prefork

from tests.host.hijack.serving import WSGI

REQUESTS = 60
UWSGI = ["--http-socket", "127.0.0.1:PORT", "--module", "site_wsgi", "--die-on-term", "--need-app"]
RECYCLED = ["--max-requests", "10", "--min-worker-lifetime", "0"]


def ask_all(server, workers):
    """Ask until every worker has answered; return how often that was.

    One that is told to end before it takes requests does not hear it, or crashes, without us as well.
    """
    pids, times = set(), 0
    until = time.monotonic() + 60
    while len(pids) < workers:
        assert time.monotonic() < until, server.said()
        pids |= server.ask_often(REQUESTS)
        times += REQUESTS
    return times


@pytest.mark.parametrize(
    "options",
    [
        ["--master", "--processes", "2"],
        ["--master", "--processes", "2", "--threads", "2"],
        ["--master", "--processes", "2", "--lazy-apps"],
        ["--master", "--processes", "2", "--py-call-uwsgi-fork-hooks"],
        [],
    ],
    ids=["forked", "threads", "lazy", "fork hooks", "one process"],
)
def test_every_request_to_uwsgi_is_counted_once(program, receiver, serve, installed, options):
    program.write("site_wsgi.py", WSGI)
    server = serve([*installed("uwsgi"), *UWSGI, *options])
    workers = 2 if "--processes" in options else 1
    times = ask_all(server, workers)
    assert receiver.settle({"site_wsgi:view": times}) == {"site_wsgi:view": times}
    assert receiver.processes("site_wsgi:view") == workers
    server.stop()


def test_workers_that_uwsgi_recycles_lose_no_count(program, receiver, serve, installed):
    program.write("site_wsgi.py", WSGI)
    server = serve([*installed("uwsgi"), *UWSGI, "--master", "--processes", "2", *RECYCLED])
    pids = {server.ask_patiently() for _ in range(REQUESTS)}
    assert receiver.settle({"site_wsgi:view": REQUESTS}) == {"site_wsgi:view": REQUESTS}
    assert len(pids) > 2
    server.stop()


def test_what_the_application_wants_to_be_called_in_a_worker_is_called_too(program, receiver, serve, installed):
    program.write(
        "site_wsgi.py",
        """
        import uwsgi, uwsgidecorators

        @uwsgidecorators.postfork
        def begin():
            print("begun", uwsgi.worker_id(), flush=True)
        """
        + WSGI.replace("def view", "\n    def view", 1).replace("\n    ", "\n        "),
    )
    server = serve([*installed("uwsgi"), *UWSGI, "--master", "--processes", "2"])
    server.ask_often(REQUESTS)
    expected = {"site_wsgi:view": REQUESTS, "site_wsgi:begin": 2}
    assert receiver.settle(expected) == expected
    assert {"begun 1", "begun 2"} <= set(server.said().splitlines())
    server.stop()


def test_a_uwsgi_without_threads_is_served_and_told_about_in_one_line(monkeypatch, capsys):
    """Releases before 2.0.27 have threads only when asked; there is none of them to be installed any more."""
    old = ModuleType("uwsgi")
    old.worker_id, old.has_threads = lambda: 0, 0
    monkeypatch.setitem(sys.modules, "uwsgi", old)
    begun = []
    assert prefork.parent()
    for _ in range(3):
        prefork.call_in_workers(lambda: begun.append(1))
    old.post_fork_hook()
    assert begun == [1]
    assert capsys.readouterr().err.count("\n") == 1


def test_a_master_never_has_a_thread_of_ours(program, receiver, serve, installed):
    """A worker that is forked while a thread of ours has the interpreter's lock would wait for it for ever."""
    program.write("site_wsgi.py", WSGI)
    slow = ["--hook-asap", "exec:sleep 1", "--master", "--processes", "2", "--lazy-apps"]
    server = serve([*installed("uwsgi"), *UWSGI, *slow], wait=False)
    threads = Path(f"/proc/{server.process.pid}/task")
    seen = set()
    until = time.monotonic() + 30
    while "spawned uWSGI worker 2" not in server.said() and time.monotonic() < until:
        seen.add(len(list(threads.iterdir())))
    assert seen == {1}
    times = ask_all(server, 2)
    assert receiver.settle({"site_wsgi:view": times}) == {"site_wsgi:view": times}
    assert receiver.processes("site_wsgi:view") == 2
    server.stop()
