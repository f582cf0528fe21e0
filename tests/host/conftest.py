"""Real interpreters around copies of the agent, each with an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import mystic_agent
import mystic_bootstrap
import pytest
import wrapt

BOOTSTRAP = Path(mystic_bootstrap.FOLDER)
AGENT = Path(mystic_agent.__file__).parent
WRAPT = Path(wrapt.__file__).parent

# Stands in for the agent's lifecycle where the number of starts is the question: the real one hides repetition.
RECORDER = """
import os
_active = False
def start(settings, way):
    global _active
    _active = True
    with open(os.environ["RECORD"], "a") as file:
        file.write(f"{os.getpid()} {way} {settings.service}\\n")
    return True
def active():
    return _active
"""


def _skip_caches(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "__pycache__"]


def lay_out(bootstrap: Path, agent: Path, recording: bool) -> None:
    """Copy the bootstrap folder below ``bootstrap``, and agent and wrapt below ``agent``."""
    shutil.copytree(BOOTSTRAP, bootstrap / "mystic_bootstrap", ignore=_skip_caches)
    shutil.copytree(AGENT, agent / "mystic_agent", ignore=_skip_caches)
    shutil.copytree(WRAPT, agent / "wrapt", ignore=_skip_caches)
    if recording:
        for old in (agent / "mystic_agent").glob("lifecycle*"):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        (agent / "mystic_agent" / "lifecycle.py").write_text(RECORDER)


@dataclass(frozen=True)
class Ended:
    """How a child ended, and the starts of the agent it and its children recorded."""

    code: int
    out: str
    err: str
    starts: list[str] = field(default_factory=list, compare=False)


@dataclass(frozen=True)
class Host:
    """Runs children in ``folder``, with nothing of this process's own settings but what is given."""

    folder: Path

    def environ(self, **variables: object) -> dict[str, str]:
        ours = ("MYSTIC_", "PYTHON", "OTEL_", "PROJECT_ROOT", "LOG_LEVEL", "COV_", "VIRTUAL_ENV")
        plain = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
        # The discard port: no child may find a collector that happens to run on this machine.
        plain |= {"RECORD": str(self.folder / "record"), "MYSTIC_PORT": "9", "PYTHONDONTWRITEBYTECODE": "1"}
        return plain | {name: str(given) for name, given in variables.items()}

    def run(self, argv: Sequence[object], **variables: object) -> Ended:
        record = self.folder / "record"
        record.unlink(missing_ok=True)
        done = subprocess.run(
            [str(word) for word in argv],
            env=self.environ(**variables),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )
        starts = record.read_text().splitlines() if record.exists() else []
        return Ended(done.returncode, done.stdout, done.stderr, starts)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    folder = tmp_path / "application"
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    return Host(folder)


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copied tree whose agent only records that it was started; the folder that goes on PYTHONPATH."""
    tree = tmp_path_factory.mktemp("recording")
    lay_out(tree, tree, recording=True)
    return tree / "mystic_bootstrap"


@pytest.fixture(scope="session")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copied tree of the real agent; the folder that goes on PYTHONPATH."""
    tree = tmp_path_factory.mktemp("copied")
    lay_out(tree, tree, recording=False)
    return tree / "mystic_bootstrap"


def _environment(folder: Path) -> Path:
    venv.create(folder, symlinks=True, with_pip=False)
    [packages] = folder.glob("lib/python*/site-packages")
    # Any .pth file makes some Pythons import a codec; with one everywhere, that is no difference of ours.
    (packages / "empty.pth").write_text("# nothing\n")
    return folder / "bin" / "python"


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python in which nothing is installed."""
    return _environment(tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="session")
def install(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], Path]:
    """Make a Python in which the package lies as its wheel would put it; its ``python``."""

    def make(recording: bool) -> Path:
        python = _environment(tmp_path_factory.mktemp("installed"))
        [packages] = python.parent.parent.glob("lib/python*/site-packages")
        lay_out(packages, packages, recording)
        shutil.copy(BOOTSTRAP.parent / "gnosis_mystic.pth", packages)
        return python

    return make


@pytest.fixture(scope="session")
def installed(install: Callable[[bool], Path]) -> Path:
    """A Python with the recording agent installed."""
    return install(True)


def _works(python: Path) -> bool:
    return python.exists() and subprocess.run([str(python), "-c", ""], capture_output=True).returncode == 0


@pytest.fixture(scope="session")
def old_python() -> Path:
    """A Python 3 older than the agent supports."""
    found = [Path(hit) for minor in (6, 7, 8, 9, 10) if (hit := shutil.which(f"python3.{minor}"))]
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found += sorted(path for path in kept.glob("3.*/bin/python3") if path.parent.parent.name.split(".")[1] in "678910")
    for python in found:
        if _works(python):
            return python
    pytest.skip("no Python 3.6 to 3.10 on this machine")


@pytest.fixture
def script(host: Host) -> Callable[[str], Path]:
    """Write an application's ``app.py`` and return its path."""

    def write(source: str) -> Path:
        path = host.folder / "app.py"
        path.write_text(source)
        return path

    return write
