"""Workers of real web servers run with the agent (H7)."""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket
import subprocess
import sys
import time

import pytest

WSGI = """
import os
def app(environ, start_response):
    from mystic_agent import lifecycle
    start_response("200 OK", [("Content-Type", "text/plain"), ("Connection", "close")])
    return [f"{os.getpid()} {lifecycle.active()}".encode()]
"""
ASGI = """
import os
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    from mystic_agent import lifecycle
    body = f"{os.getpid()} {lifecycle.active()}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def ask(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


@contextlib.contextmanager
def serving(host, argv, port, **variables):
    """Run a server until the block ends; it must then end by itself on SIGTERM."""
    with open(host.folder / "server.log", "w+") as log:
        process = subprocess.Popen(
            argv, env=host.environ(**variables), cwd=host.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
        try:
            deadline = time.monotonic() + 30
            while True:
                try:
                    ask(port)
                    break
                except OSError:
                    log.seek(0)
                    if process.poll() is not None or time.monotonic() > deadline:
                        pytest.fail(f"the server did not come up: {log.read()}")
                    time.sleep(0.02)
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(20)


def answers(port, workers):
    """Ask until ``workers`` different processes have answered."""
    seen = {}
    deadline = time.monotonic() + 20
    while len(seen) < workers and time.monotonic() < deadline:
        pid, active = ask(port).split()
        seen[int(pid)] = active
    return seen


@pytest.mark.parametrize("options", [[], ["--preload"]], ids=["each worker loads", "preload"])
def test_every_gunicorn_worker_runs_the_agent(host, recording, options):
    (host.folder / "site_wsgi.py").write_text(WSGI)
    port = free_port()
    argv = [sys.executable, "-m", "gunicorn", "-w", "2", "-b", f"127.0.0.1:{port}", *options, "site_wsgi:app"]
    with serving(host, argv, port, PYTHONPATH=f"{recording}:{recording.parent}"):
        assert list(answers(port, 2).values()) == ["True", "True"]


@pytest.mark.parametrize(
    ("options", "workers"), [(["--workers", "2"], 2), (["--reload"], 1)], ids=["workers", "reload"]
)
def test_every_uvicorn_worker_runs_the_agent(host, recording, options, workers):
    (host.folder / "site_asgi.py").write_text(ASGI)
    port = free_port()
    argv = [sys.executable, "-m", "uvicorn", *options, "--port", str(port), "site_asgi:app"]
    with serving(host, argv, port, PYTHONPATH=f"{recording}:{recording.parent}"):
        assert list(answers(port, workers).values()) == ["True"] * workers
    starts = (host.folder / "record").read_text().splitlines()
    assert len({line.split()[0] for line in starts}) == len(starts)
