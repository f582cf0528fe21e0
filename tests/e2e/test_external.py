"""Functions that call out of their process are found from what they do, and kept from it in one stage, in one step."""

from __future__ import annotations

import contextlib
import http.server
import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import BOOTSTRAP, Lab, free_port, listens, request, until

DELAY, SLOW = 0.03, 2.0
TIMES = 4
SHOP = """
import asyncio, json, os, subprocess, sys, urllib.request

import httpx, requests

URL = os.environ["BACKEND"]
session = requests.Session()

def by_urllib() -> dict:
    with urllib.request.urlopen(URL) as reply:
        return json.load(reply)

def by_requests() -> "list[int]":
    return requests.get(URL).json()

def by_session():
    return session.get(URL).json()

def by_httpx():
    return httpx.get(URL, trust_env=False).json()

async def by_async_httpx():
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(URL)).json()

def by_subprocess():
    command = [sys.executable, "-c", "import time; time.sleep(0.03); print(5)", "--password=hunter2"]
    return int(subprocess.run(command, capture_output=True).stdout)

def by_c_library():
    # What a library does that is written in C: a socket that Python's own class knows nothing of.
    import _socket
    host, port = URL[7:-1].split(":")
    connection = _socket.socket()
    connection.connect((host, int(port)))
    connection.send(b"GET /slow HTTP/1.0" + bytes((13, 10, 13, 10)))
    size = 0
    while data := connection.recv(1000):
        size += len(data)
    connection.close()
    return size

def by_nothing():
    return 7

def by_redis():
    import redis
    with redis.Redis(port=int(os.environ["REDIS"])) as client:
        client.set("a", "b" * 100)
        return len(client.get("a"))

def app(environ, start_response):
    found = globals()[environ["PATH_INFO"].strip("/")]()
    if asyncio.iscoroutine(found):
        found = asyncio.run(found)
    body = json.dumps(found).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
"""
LIBRARIES = {
    "by_urllib": "urllib.request:urlopen",
    "by_requests": "requests.api:get",
    "by_session": "requests.sessions:Session.get",
    "by_httpx": "httpx._api:get",
    "by_async_httpx": "httpx._client:AsyncClient.get",
}


class Backend:
    """A real server that the shop depends on; counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        backend = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                backend.asked += 1
                threading.Event().wait(SLOW if self.path == "/slow" else DELAY)  # the time that a service takes
                self.send_response(200)
                self.send_header("Content-Length", "9")
                self.end_headers()
                self.wfile.write(b'{"a": 12}')

            def log_message(self, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.peer = f"127.0.0.1:{self.server.server_port}"


@pytest.fixture
def backend() -> Iterator[Backend]:
    made = Backend()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def shop(lab: Lab, backend: Backend, **more: str) -> int:
    (lab.folder / "shop.py").write_text(SHOP)
    before = lab.processes()
    port = lab.serve(PYTHONPATH=str(BOOTSTRAP), workers=1, BACKEND=f"http://{backend.peer}/", **more)
    until(lambda: lab.processes() == before + 1, "the process")
    return port


def external(lab: Lab) -> dict[str, dict[str, Any]]:
    return {one["target"]: one for one in lab.api("GET", "/api/analysis/external")[1]["functions"]}


def test_functions_that_call_out_are_found_with_peer_library_bytes_and_time(lab: Lab, backend: Backend) -> None:
    port = shop(lab, backend)
    for name in (*LIBRARIES, "by_subprocess", "by_nothing"):
        for _ in range(TIMES):
            assert request(port, "GET", f"/{name}")[0] == 200
    until(lambda: lab.count("shop:by_nothing") == TIMES, "the last calls")
    found = external(lab)
    assert set(found) == {f"shop:{name}" for name in (*LIBRARIES, "by_subprocess")}
    for name, library in LIBRARIES.items():
        one = found[f"shop:{name}"]
        assert (one["peers"], one["protocols"], one["via"]) == ([backend.peer], ["http"], [library]), name
        assert (one["operations"], one["errors"], one["call_count"]) == (TIMES, 0, TIMES), name
        assert one["received"] >= TIMES * 9, name
        assert one["sent"] >= TIMES * 20, name
        assert one["waited"] >= TIMES * DELAY * 0.9, name
    assert found["shop:by_session"]["connections"] == 1
    assert found["shop:by_requests"]["connections"] == TIMES
    program = found["shop:by_subprocess"]
    assert (program["protocols"], program["operations"]) == (["subprocess"], TIMES)
    assert program["peers"][0].startswith("python")
    assert program["share"] > 0.5
    assert program["mostly_external"]
    everything = json.dumps(found)
    assert "hunter2" not in everything
    shown = lab.mystic("external", backend.peer)
    assert "by_requests" in shown.stdout
    assert "by_subprocess" not in shown.stdout


def test_a_c_library_that_waits_on_a_socket_of_its_own_is_found_by_looking(lab: Lab, backend: Backend) -> None:
    port = shop(lab, backend)
    assert request(port, "GET", "/by_c_library")[1] > 9
    until(lambda: "shop:by_c_library" in external(lab), "the function")
    one = external(lab)["shop:by_c_library"]
    assert one["peers"] == [backend.peer]
    assert 0.2 * SLOW < one["waited"] < 2 * SLOW
    assert set(external(lab)) == {"shop:by_c_library"}


def test_one_step_mocks_a_function_in_development_and_not_in_production(lab: Lab, backend: Backend) -> None:
    development = shop(lab, backend, MYSTIC_ENV="development")
    production = shop(lab, backend, MYSTIC_ENV="production")
    for port in (development, production):
        assert request(port, "GET", "/by_requests")[1] == {"a": 12}
    until(lambda: "shop:by_requests" in external(lab), "the function to be found")

    unsaid = lab.mystic("mock-external", "by_requests")
    assert unsaid.returncode == 2
    assert "shop:by_requests returns 'list[int]'" in unsaid.stderr
    made = lab.mystic("mock-external", backend.peer, "--value", '{"a": 0}', "--owner", "ada", "--expires", "1h")
    assert made.returncode == 0, made.stderr
    until(lambda: request(development, "GET", "/by_requests")[1] == {"a": 0}, "the mock in development")
    asked = backend.asked
    for _ in range(3):
        assert request(development, "GET", "/by_requests")[1] == {"a": 0}
    assert backend.asked == asked
    for _ in range(3):
        assert request(production, "GET", "/by_requests")[1] == {"a": 12}
    assert backend.asked == asked + 3
    [hijack] = lab.api("GET", "/api/hijacks")[1]["hijacks"]
    assert (hijack["target"], list(hijack["stages"])) == ("shop:by_requests", ["development"])


def test_a_function_of_a_library_that_nobody_observes_is_mocked_as_well(lab: Lab, backend: Backend) -> None:
    port = shop(lab, backend)
    made = lab.mystic("mock-external", "requests.api:get", "--exception", "ValueError", "--message", "no network")
    assert made.returncode == 0, made.stderr
    until(lambda: lab.api("GET", "/api/hijacks")[1]["hijacks"][0]["progress"]["attached"] == 1, "the mock")
    assert request(port, "GET", "/by_session")[1] == {"a": 12}
    asked = backend.asked
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(b"GET /by_requests HTTP/1.0\r\n\r\n")
        assert b" 500 " in connection.recv(100)
    assert backend.asked == asked


def test_what_cannot_be_meant_is_refused_with_the_candidates(lab: Lab, backend: Backend) -> None:
    port = shop(lab, backend)
    for name in ("by_requests", "by_httpx"):
        request(port, "GET", f"/{name}")
    until(lambda: len(external(lab)) == 2, "both functions")
    several = lab.mystic("mock-external", "http", "--value", "1")
    assert several.returncode == 2
    assert "shop:by_httpx" in several.stderr
    assert "shop:by_requests" in several.stderr
    assert lab.mystic("mock-external", "nobody", "--value", "1").returncode == 2
    status, body = lab.api("POST", "/api/analysis/external/mock", {"function": "a", "peer": "b"})
    assert (status, body["error"]["field"]) == (422, "peer")


@contextlib.contextmanager
def redis_server(program: str, folder: Path) -> Iterator[int]:
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        until(lambda: listens(port), "redis-server")
        yield port
    finally:
        process.terminate()
        process.wait(20)


def test_redis_is_found(lab: Lab, backend: Backend) -> None:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed; Debian has it in the package of that name")
    with redis_server(program, lab.folder) as server:
        port = shop(lab, backend, REDIS=str(server))
        assert request(port, "GET", "/by_redis")[1] == 100
        until(lambda: external(lab).get("shop:by_redis", {"operations": 0})["operations"] >= 2, "what it asked")
    one = external(lab)["shop:by_redis"]
    assert (one["peers"], one["protocols"]) == ([f"localhost:{server}"], ["redis"])
