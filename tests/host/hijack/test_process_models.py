"""N calls are N counted calls, whatever processes a server or a library spreads them over (H4, H7)."""

from __future__ import annotations

import signal
import sys
import time

import pytest

REQUESTS = 400
WSGI = """
    import os

    def view(environ):
        return str(os.getpid())

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [view(environ).encode()]
"""
ASGI = """
    import os

    async def view():
        return str(os.getpid())

    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        body = (await view()).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
"""


GUNICORN = [
    sys.executable,
    "-m",
    "gunicorn",
    "-w",
    "4",
    "-b",
    "127.0.0.1:PORT",
    "--no-control-socket",
    "--graceful-timeout",
    "10",
]


@pytest.mark.parametrize("preload", [["--preload"], []], ids=["loaded before the fork", "loaded by each worker"])
def test_every_request_to_gunicorn_is_counted_once(program, receiver, serve, preload):
    program.write("site_wsgi.py", WSGI)
    server = serve([*GUNICORN, *preload, "site_wsgi:app"])
    assert len(server.ask_often(REQUESTS)) > 1
    server.stop()
    assert receiver.settle({"site_wsgi:view": REQUESTS}) == {"site_wsgi:view": REQUESTS}


def test_workers_that_gunicorn_replaces_lose_no_count(program, receiver, serve):
    program.write("site_wsgi.py", WSGI)
    server = serve([*GUNICORN, "--preload", "--max-requests", "50", "site_wsgi:app"])
    pids = {server.ask_patiently() for _ in range(REQUESTS)}
    assert len(pids) > 4
    server.stop()
    assert receiver.settle({"site_wsgi:view": REQUESTS}) == {"site_wsgi:view": REQUESTS}
    assert receiver.processes("site_wsgi:view") == len(pids)


def test_a_reload_of_gunicorn_loses_no_count(program, receiver, serve):
    program.write("site_wsgi.py", WSGI)
    server = serve([*GUNICORN, "site_wsgi:app"])
    before = server.ask_often(100)
    server.process.send_signal(signal.SIGHUP)
    asked, after = 100, set(before)
    deadline = time.monotonic() + 30
    while after & before and time.monotonic() < deadline:
        after = {server.ask_patiently() for _ in range(20)}
        asked += 20
    assert not after & before
    server.stop()
    assert receiver.settle({"site_wsgi:view": asked}) == {"site_wsgi:view": asked}


def test_every_request_to_the_workers_of_uvicorn_is_counted_once(program, receiver, serve):
    program.write("site_asgi.py", ASGI)
    server = serve([sys.executable, "-m", "uvicorn", "--workers", "2", "--port", "PORT", "site_asgi:app"])
    server.ask_patiently()
    server.ask_often(REQUESTS)
    server.stop()
    assert receiver.settle({"site_asgi:view": REQUESTS + 1}) == {"site_asgi:view": REQUESTS + 1}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_every_call_in_a_pool_of_processes_is_counted_once(program, receiver, method):
    program.write("work.py", "def double(n):\n    return 2 * n\n")
    script = program.write(
        "script.py",
        f"""
        import multiprocessing
        from work import double

        def main():
            context = multiprocessing.get_context({method!r})
            with context.Pool(3, maxtasksperchild=4) as pool:
                total = sum(pool.map(double, range(60), chunksize=2))
                pool.close()
                pool.join()
            child = context.Process(target=double, args=(1,))
            child.start()
            child.join()
            print(total + double(1), child.exitcode)

        if __name__ == "__main__":
            main()
        """,
    )
    ended = program.run([script], receiver.port)
    assert (ended.code, ended.out, ended.err) == (0, "3542 0\n", "")
    assert receiver.settle({"work:double": 62}) == {"work:double": 62}


def test_a_thousand_forks_while_the_agents_locks_are_held_all_come_back(program, receiver):
    program.write("work.py", "".join(f"def f{i}(n):\n    return n + {i}\n" for i in range(8)))
    script = program.write(
        "script.py",
        """
        import os, sys, threading
        import work
        from mystic_agent import lifecycle
        from mystic_agent.contract.hijack import parse_hijack
        from mystic_agent.link.hijack_set import HijackSet

        agent, over = lifecycle.current(), threading.Event()
        hijacks = [
            [parse_hijack({"id": f"h{n}", "target": "work:*", "stages": [{"cache": {"ttl": n + 1}}]})] for n in range(2)
        ]

        def changing():
            n = 0
            while not over.is_set():
                agent.apply(HijackSet(n, tuple(hijacks[n % 2]), (), off=n % 5 == 4))
                n += 1

        def collecting():
            while not over.is_set():
                agent.report(True)
                agent.collect()

        threads = [threading.Thread(target=target) for target in (changing, collecting)]
        for thread in threads:
            thread.start()
        bad = 0
        for n in range(250):
            children = []
            for _ in range(4):
                pid = os.fork()
                if pid == 0:
                    right = work.f1(n) == n + 1 and agent.report(True) is not None
                    os._exit(0 if right else 9)
                children.append(pid)
            bad += sum(os.waitpid(pid, 0)[1] != 0 for pid in children)
        over.set()
        for thread in threads:
            thread.join()
        print("bad", bad)
        """,
    )
    ended = program.run([script], receiver.port)
    assert (ended.code, ended.out) == (0, "bad 0\n"), ended.err


def test_a_forked_child_that_ends_by_sys_exit_tells_its_calls(program, receiver):
    program.write("work.py", "def double(n):\n    return 2 * n\n")
    script = program.write(
        "script.py",
        """
        import os, sys
        from work import double
        double(1)
        for _ in range(5):
            if os.fork() == 0:
                double(2)
                sys.exit(0)
        for _ in range(5):
            os.wait()
        """,
    )
    assert program.run([script], receiver.port) == (0, "", "")
    assert receiver.settle({"work:double": 6}) == {"work:double": 6}
    assert receiver.processes("work:double") == 6
