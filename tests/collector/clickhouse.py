"""An engine for tests: a real ClickHouse server, or its engine (chdb) behind a small HTTP front in a child process."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import clickhouse_connect
import pytest
from mystic_collector.engine import Engine, read_engine

FRONT = Path(__file__).with_name("clickhouse_front.py")
PATIENCE = 30.0
ABSENT = "needs ClickHouse: set MYSTIC_TEST_CLICKHOUSE to a server's address, or MYSTIC_TEST_CHDB to a python with chdb"


@dataclass
class Front:
    """The engine in a child process, which can be ended and started again on the same port and folder."""

    python: str
    folder: Path
    port: int = 0
    certificate: Path | None = None
    _process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [self.python, str(FRONT), str(self.folder), str(self.port)]
        command += [str(self.certificate)] if self.certificate else []
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("MYSTIC_", "PYTHON"))}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environ
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def stop(self) -> None:
        if self._process is not None:
            self._process.communicate(timeout=PATIENCE)
            self._process = None


@contextlib.contextmanager
def engines(folder: Path) -> Iterator[Engine]:
    """Yield a server, whose databases the tests name themselves; skip where there is none."""
    if os.environ.get("MYSTIC_TEST_CLICKHOUSE"):
        found = read_engine({"MYSTIC_STORE": os.environ["MYSTIC_TEST_CLICKHOUSE"]})
        assert found is not None
        yield found
        return
    front = front_or_skip(folder)
    front.start()
    try:
        yield Engine("127.0.0.1", front.port, "default")
    finally:
        front.stop()


def front_or_skip(folder: Path) -> Front:
    """Return a front that is not started yet."""
    python = os.environ.get("MYSTIC_TEST_CHDB", "")
    if not python:
        pytest.skip(ABSENT)
    return Front(python, folder)


@contextlib.contextmanager
def database(engine: Engine) -> Iterator[Engine]:
    """Yield the name of a database that does not exist yet; it is gone afterwards."""
    name = f"mystic_test_{secrets.token_hex(6)}"
    yield Engine(engine.host, engine.port, name, engine.user, engine.password, engine.secure)
    with clickhouse_connect.get_client(
        interface="https" if engine.secure else "http",
        host=engine.host,
        port=engine.port,
        username=engine.user,
        password=engine.password,
    ) as client:
        client.command("drop database if exists {name:Identifier}", {"name": name})
