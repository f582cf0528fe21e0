"""Libraries that do not go through Python's sockets, or in ways of their own, are found calling out as well."""

from __future__ import annotations

import contextlib
import os
import shutil
import socketserver
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import BIN, BOOTSTRAP, Lab, free_port, listens, request, running, until

from tests.e2e.test_external import DELAY, SLOW, Backend, backend, external, redis_server  # noqa: F401 - a fixture

TIMES = 3
SYNCHRONOUS = """
import json, os, select

ADDRESS = ("127.0.0.1", int(os.environ["BACKEND"]))

def by_pymysql():
    import pymysql
    with pymysql.connect(host="127.0.0.1", port=int(os.environ["MYSQL"]), user="u", password="p") as connection:
        with connection.cursor() as cursor:
            cursor.execute("select 7")
            return cursor.fetchone()[0]

def by_psycopg():
    import psycopg
    with psycopg.connect(host="127.0.0.1", port=int(os.environ["POSTGRES"]), user="postgres") as connection:
        return connection.execute("select 5 from pg_sleep(2)").fetchone()[0]

def waiting(wait):
    import _socket  # as C code does it: Python's own class knows nothing of this one
    connection = _socket.socket()
    connection.connect(ADDRESS)
    connection.send(b"GET /slow HTTP/1.0" + bytes((13, 10, 13, 10)))
    wait(connection.fileno())
    connection.close()
    return 3

def by_select():
    return waiting(lambda one: select.select([one], [], []))

def by_epoll():
    def wait(one):
        with select.epoll() as poll:
            poll.register(one, select.EPOLLIN)
            poll.poll()
    return waiting(wait)

def app(environ, start_response):
    body = json.dumps(globals()[environ["PATH_INFO"].strip("/")]()).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
"""
ASYNCHRONOUS = """
import asyncio, json, os, sys

import httpx, uvicorn

PORT = int(os.environ["BACKEND"])
client = httpx.AsyncClient(trust_env=False)

async def by_httpx():
    return (await client.get(f"http://127.0.0.1:{PORT}/")).json()

async def by_streams():
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    writer.write(b"GET / HTTP/1.0" + bytes((13, 10, 13, 10)))
    found = await reader.read()
    writer.close()
    return len(found)

async def by_task():
    return await asyncio.create_task(by_streams())

async def by_redis():
    from redis.asyncio import Redis
    async with Redis(port=int(os.environ["REDIS"])) as redis:
        await redis.set("a", "b" * 100)
        return len(await redis.get("a"))

async def by_psycopg():
    from psycopg import AsyncConnection
    where = dict(host="127.0.0.1", port=int(os.environ["POSTGRES"]), user="postgres")
    async with await AsyncConnection.connect(**where) as connection:
        found = await (await connection.execute("select 5 from pg_sleep(0.5)")).fetchone()
    return found[0]

async def by_nothing():
    return type(asyncio.get_running_loop()).__module__

async def app(scope, receive, send):
    body = json.dumps(await globals()[scope["path"].strip("/")]()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})

def main():
    loop = os.environ.get("LOOP", "uvloop")
    uvicorn.run(app, port=int(sys.argv[1]), loop=loop, lifespan="off", log_level="error")

if __name__ == "__main__":
    main()
"""


class MySql(socketserver.ThreadingTCPServer):
    """Speaks as much of MySQL's protocol as a client needs to ask one question, see its internals manual."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)


class _Session(socketserver.StreamRequestHandler):
    OK, END = b"\0\0\0\2\0\0\0", b"\xfe\0\0\2\0"

    def say(self, number: int, *packets: bytes) -> None:
        for at, packet in enumerate(packets, number):
            self.wfile.write(struct.pack("<I", len(packet))[:3] + bytes([at]) + packet)

    def hear(self) -> bytes:
        head = self.rfile.read(4)
        return self.rfile.read(int.from_bytes(head[:3], "little")) if head else b""

    def handle(self) -> None:
        able = struct.pack("<HBHHB", 0xA209, 33, 2, 0x8, 21)
        self.say(
            0, b"\n8.0.0\0" + bytes(4) + b"a" * 8 + b"\0" + able + bytes(10) + b"b" * 12 + b"\0mysql_native_password\0"
        )
        self.hear()
        self.say(2, self.OK)
        while asked := self.hear():
            if asked[1:].lower().startswith(b"select"):
                threading.Event().wait(DELAY)  # the time that a database takes
                column = b"\3def\0\0\0\1a\0\x0c" + struct.pack("<HIBHBH", 33, 20, 8, 0, 0, 0)
                self.say(1, b"\1", column, self.END, b"\0017", self.END)
            elif asked[0] != 1:
                self.say(1, self.OK)


@pytest.fixture
def mysql() -> Iterator[int]:
    with MySql() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield int(server.server_address[1])
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def postgres() -> Iterator[int]:
    """Run a PostgreSQL server, as a user of its own where we are root, which it refuses to run as."""
    found = [shutil.which("initdb"), *map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb"))]
    initdb = next((one for one in found if one), None)
    if initdb is None:
        pytest.skip("PostgreSQL is not installed; Debian has it in the package postgresql")
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        who: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        if who:
            shutil.chown(name, **who)
        data = f"{name}/data"
        subprocess.run(
            [initdb, "-D", data, "-A", "trust", "-U", "postgres", "-N"], check=True, capture_output=True, **who
        )
        port = free_port()
        command = [f"{Path(initdb).parent}/postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", "", "-F"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=name, **who)
        stack.callback(process.wait, 20)
        stack.callback(process.send_signal, 2)  # the fast way to end
        until(lambda: listens(port), "PostgreSQL")
        yield port


def serve(lab: Lab, backend: Backend, **more: str) -> int:  # noqa: F811
    (lab.folder / "shop.py").write_text(SYNCHRONOUS)
    port = lab.serve(PYTHONPATH=str(BOOTSTRAP), workers=1, BACKEND=backend.peer.rpartition(":")[2], **more)
    until(lambda: lab.processes() == 1, "the process")
    return port


def test_pymysql_is_found_with_its_requests(lab: Lab, backend: Backend, mysql: int) -> None:  # noqa: F811
    port = serve(lab, backend, MYSQL=str(mysql))
    for _ in range(TIMES):
        assert request(port, "GET", "/by_pymysql") == (200, 7)
    until(lambda: lab.count("shop:by_pymysql") == TIMES, "the calls")
    one = external(lab)["shop:by_pymysql"]
    assert (one["peers"], one["errors"], one["connections"]) == ([f"127.0.0.1:{mysql}"], 0, TIMES)
    assert all(via.startswith("pymysql.") for via in one["via"])
    assert one["operations"] >= 2 * TIMES  # it says who it is, and asks
    assert one["waited"] >= TIMES * DELAY * 0.9


def test_psycopg_is_found_waiting_for_a_real_server(lab: Lab, backend: Backend) -> None:  # noqa: F811
    with postgres() as server:
        port = serve(lab, backend, POSTGRES=str(server))
        assert request(port, "GET", "/by_psycopg") == (200, 5)
        until(lambda: "shop:by_psycopg" in external(lab), "the function")
    one = external(lab)["shop:by_psycopg"]
    assert one["peers"] == [f"127.0.0.1:{server}"]
    assert 0.2 * 2 < one["waited"] < 2 * 2


@pytest.mark.parametrize("way", ["by_select", "by_epoll"])
def test_a_library_that_waits_for_its_socket_by_other_calls_is_found_by_looking(
    lab: Lab,
    backend: Backend,  # noqa: F811
    way: str,
) -> None:
    port = serve(lab, backend)
    assert request(port, "GET", f"/{way}") == (200, 3)
    until(lambda: external(lab), "the function")
    [(name, one)] = external(lab).items()
    assert name.startswith(("shop:waiting", f"shop:{way}"))
    assert one["peers"] == [backend.peer]
    assert 0.2 * SLOW < one["waited"] < 2 * SLOW


def test_under_uvloop_functions_are_found_with_their_requests_bytes_and_time(
    lab: Lab,
    backend: Backend,  # noqa: F811
) -> None:
    pytest.importorskip("uvloop")
    program = shutil.which("redis-server")
    names = ["by_httpx", "by_streams", "by_task", "by_nothing", *(["by_redis"] if program else [])]
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(redis_server(program, lab.folder)) if program else 0
        (lab.folder / "shop.py").write_text(ASYNCHRONOUS)
        port = free_port()
        environ = lab.environment(PYTHONPATH=str(BOOTSTRAP), BACKEND=backend.peer.rpartition(":")[2], REDIS=str(store))
        command = (BIN / "python", "shop.py", port)
        lab.stack.enter_context(running(*command, log=lab.log, cwd=lab.folder, env=environ))
        until(lambda: listens(port), "the application")
        until(lambda: lab.processes() == 1, "the process")
        for name in names:
            for _ in range(TIMES):
                assert request(port, "GET", f"/{name}")[0] == 200
        assert request(port, "GET", "/by_nothing")[1] == "uvloop"
        until(lambda: lab.count("__main__:by_nothing") == TIMES + 1, "the calls")
    found = {name.removeprefix("__main__:"): one for name, one in external(lab).items()}
    assert set(found) == set(names) - {"by_task", "by_nothing"}
    requests = {"by_httpx": TIMES, "by_streams": 2 * TIMES}
    for name, count in requests.items():
        one = found[name]
        assert (one["peers"], one["protocols"], one["errors"]) == ([backend.peer], ["http"], 0), name
        assert one["operations"] == count, name
        assert one["received"] >= count * 9, name
        assert one["sent"] >= count * 18, name
        assert one["waited"] >= count * DELAY * 0.9, name
    assert found["by_httpx"]["connections"] == 1
    assert found["by_httpx"]["via"] == ["httpx._client:AsyncClient.get"]
    if program:
        assert found["by_redis"]["protocols"] == ["redis"]
        assert found["by_redis"]["operations"] >= 2 * TIMES


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_psycopg_of_a_coroutine_is_found_waiting_for_a_real_server(lab: Lab, loop: str) -> None:
    pytest.importorskip(loop)
    with postgres() as server:
        (lab.folder / "shop.py").write_text(ASYNCHRONOUS)
        port = free_port()
        environ = lab.environment(PYTHONPATH=str(BOOTSTRAP), BACKEND="9", POSTGRES=str(server), LOOP=loop)
        lab.stack.enter_context(running(BIN / "python", "shop.py", port, log=lab.log, cwd=lab.folder, env=environ))
        until(lambda: listens(port), "the application")
        until(lambda: lab.processes() == 1, "the process")
        for _ in range(TIMES):
            assert request(port, "GET", "/by_psycopg") == (200, 5)
        until(lambda: lab.count("__main__:by_psycopg") == TIMES, "the calls")
        one = external(lab)["__main__:by_psycopg"]
    assert (one["peers"], one["errors"]) == ([f"127.0.0.1:{server}"], 0)
    assert all(via.startswith("psycopg.") for via in one["via"])
    assert TIMES * 0.5 * 0.5 < one["waited"] < TIMES * 0.5 * 5
    assert one["mostly_external"]
