"""Python environments of their own for what tests run under the agent, kept between runs."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

UNREACHABLE = ("NewConnectionError", "Connection refused", "timed out", "Name or service not known", "ConnectionError")


def keep(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder ``name`` of the user's cache, made by ``make`` when it is not there yet, as a whole or not."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gnosis-mystic-tests"
    folder = root / name
    if not folder.exists():
        part = root / f"{name}.{os.getpid()}"
        part.mkdir(parents=True)
        try:
            make(part)
            part.rename(folder)
        except OSError:
            if not folder.exists():  # else another run was faster
                raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return folder


def install(python: Path, requirements: Path) -> Path:
    """Return a Python like ``python`` that has ``requirements``, and nothing of this project."""
    version = subprocess.run(
        [python, "-c", "import platform, sys; print(sys.implementation.cache_tag, platform.machine(), sys.prefix)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    mark = hashlib.sha256((version + requirements.read_text()).encode()).hexdigest()[:12]

    def make(folder: Path) -> None:
        _run([str(python), "-m", "venv", str(folder)])
        _run([*_pip(folder), "install", "--quiet", "--requirement", str(requirements)])

    return keep(f"{requirements.stem}-{mark}", make) / "bin" / "python"


def source(python: Path, requirement: str) -> Path:
    """Return the folder of ``name==version`` as its makers released it, with its tests."""

    def make(folder: Path) -> None:
        pip = _pip(python.parent.parent)
        _run([*pip, "download", "--quiet", "--no-binary", ":all:", "--no-deps", "--dest", str(folder), requirement])
        [archive] = folder.glob("*.tar.gz")
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")
        archive.unlink()

    [folder] = keep(requirement, make).iterdir()
    return folder


def _pip(environment: Path) -> list[str]:
    return [str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--retries", "1"]


def _run(argv: list[str]) -> None:
    plain = {name: text for name, text in os.environ.items() if not name.startswith(("PYTHON", "MYSTIC_"))}
    done = subprocess.run(argv, env=plain, capture_output=True, text=True, timeout=300)
    if done.returncode and any(words in done.stderr for words in UNREACHABLE):
        pytest.skip(f"the package registry cannot be reached: {done.stderr.strip().splitlines()[-1][:300]}")
    assert done.returncode == 0, f"{argv} failed: {done.stderr[-3000:]}"
