"""Applications under the agent: modules in this process, programs in processes of their own."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import mystic_bootstrap
import pytest
from mystic_agent import lifecycle
from mystic_agent.contract.hijack import parse_hijack
from mystic_agent.contract.target import parse_target
from mystic_agent.link.hijack_set import HijackSet
from mystic_agent.settings import Settings

if TYPE_CHECKING:
    from tests.host.apps.receiver import Receiver
    from tests.host.hijack.serving import Server

DISCARD = 9  # no collector listens there
PATIENCE = 20.0


class Watched:
    """A module of an application in this process, with the agent at work on it."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module

    def calls(self, qualname: str) -> int:
        """Return how often the function was called since the agent started; -1 when it is not hijacked."""
        agent = lifecycle.current()
        attached = agent.attachments.by_name.get(f"{self.module.__name__}:{qualname}") if agent else None
        return attached.meter.calls if attached is not None and attached.state == "attached" else -1

    def why(self, qualname: str) -> str:
        """Return why the function is not hijacked."""
        agent = lifecycle.current()
        assert agent is not None
        return agent.attachments.by_name[f"{self.module.__name__}:{qualname}"].why

    def apply(self, *hijacks: dict[str, Any]) -> None:
        """Put these hijacks in force."""
        agent = lifecycle.current()
        assert agent is not None
        agent.apply(HijackSet(agent.version + 1, tuple(parse_hijack(one) for one in hijacks), ()))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)


def start(*targets: str, **settings: Any) -> None:
    """Start the agent in this process for ``targets``; every call is observed, whatever it costs."""
    settings = {"port": DISCARD, "interval": 3600.0, "overhead_budget": 0.0, "sample_rate": 0.0} | settings
    assert lifecycle.start(Settings(targets=tuple(parse_target(one) for one in targets), **settings), "test")


@pytest.fixture
def agent() -> Iterator[Callable[..., None]]:
    """Start the agent with :func:`start`; it is stopped at the end of the test."""
    assert not lifecycle.active()
    yield start
    lifecycle.stop()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Write modules that can be imported until the end of the test."""
    monkeypatch.syspath_prepend(tmp_path)
    written: list[str] = []

    def module(name: str, source: str) -> None:
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        importlib.invalidate_caches()
        written.append(name)

    yield module
    for name in written:
        sys.modules.pop(name, None)


@pytest.fixture
def late(agent: Callable[..., None], write: Callable[[str, str], None]) -> Callable[..., Watched]:
    """Import a module, then start the agent."""

    def load(source: str, name: str = "application", **settings: Any) -> Watched:
        write(name, source)
        module = importlib.import_module(name)
        agent(f"{name}:*", **settings)
        lifecycle.flush(PATIENCE)  # what is collected first of all must not be what the test makes
        return Watched(module)

    return load


@pytest.fixture
def early(agent: Callable[..., None], write: Callable[[str, str], None]) -> Callable[..., Watched]:
    """Start the agent, then import a module."""

    def load(source: str, name: str = "application", **settings: Any) -> Watched:
        write(name, source)
        agent(f"{name}:*", **settings)
        module = importlib.import_module(name)
        lifecycle.flush(PATIENCE)
        return Watched(module)

    return load


@pytest.fixture(params=["imported before the agent", "imported after the agent"])
def load(request: pytest.FixtureRequest) -> Callable[..., Watched]:
    """Load a module with the agent, in both orders."""
    name = "late" if "before" in request.param else "early"
    return request.getfixturevalue(name)  # type: ignore[no-any-return]


class Ended(NamedTuple):
    """How a program ended."""

    code: int
    out: str
    err: str


class Program:
    """Runs an application's script, with the agent or without."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def environ(self, port: int | None, **variables: object) -> dict[str, str]:
        """Return the environment of a process whose collector is at ``port``; None for no agent."""
        ours = ("MYSTIC_", "PYTHON", "OTEL_", "PROJECT_ROOT", "LOG_LEVEL", "COV_", "PYTEST_")
        plain = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
        plain["PYTHONDONTWRITEBYTECODE"] = "1"
        if port is not None:
            plain |= {"PYTHONPATH": mystic_bootstrap.FOLDER, "MYSTIC_PORT": str(port), "MYSTIC_EXPORT_INTERVAL": "50ms"}
            plain |= {"MYSTIC_OVERHEAD_BUDGET": "off"}
        return plain | {name: str(given) for name, given in variables.items()}

    def write(self, name: str, source: str) -> Path:
        path = self.folder / name
        path.write_text(textwrap.dedent(source))
        return path

    def run(
        self,
        argv: Sequence[object],
        port: int | None = None,
        given: str = "",
        python: str = sys.executable,
        **variables: object,
    ) -> Ended:
        """Run ``python *argv`` to its end."""
        done = subprocess.run(
            [python, *map(str, argv)],
            env=self.environ(port, **variables),
            cwd=self.folder,
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def popen(self, argv: Sequence[object], port: int | None, **variables: object) -> subprocess.Popen[str]:
        """Start ``python *argv``."""
        return subprocess.Popen(
            [sys.executable, *map(str, argv)],
            env=self.environ(port, **variables),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture
def program(tmp_path: Path) -> Program:
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    return Program(folder)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    from tests.host.apps.receiver import Receiver

    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def serve(program: Program, receiver: Receiver) -> Iterator[Callable[..., Server]]:
    """Start a web server on the program's folder, with the agent and the receiver."""
    from tests.host.hijack.serving import Servers

    servers = Servers()

    def begin(argv: list[str], wait: bool = True, **variables: object) -> Server:
        return servers.begin(argv, program.environ(receiver.port, **variables), program.folder, wait)

    yield begin
    servers.end()


@pytest.fixture(scope="session")
def installed() -> Callable[[str], list[str]]:
    """Return the command of a server that is installed in an environment of its own."""
    from tests.host.apps import environment

    python = environment.install(Path(sys.executable), Path(__file__).with_name("servers.txt"))
    return lambda name: [str(python), str(python.with_name(name))]
