"""Packages from npm that tests run: installed once on this machine."""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
from pathlib import Path

import pytest
from lab import PATIENCE

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mystic-tests"


def command(variable: str) -> list[str]:
    """Return the command that a variable of the environment names, or skip."""
    found = os.environ.get(variable, "").strip()
    if not found:
        pytest.skip(f"{variable} is not set: it names the command of a foreign MCP client")
    return shlex.split(found)


def run(*words: object, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=3 * PATIENCE, cwd=cwd, env=env
    )


def package(name: str) -> Path:
    """Return the folder that has the npm package ``name`` (with its version) in node_modules."""
    node = command("MYSTIC_TEST_NODE")
    folder = CACHE / name.replace("/", "-")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            installed = run(*node, "npm", "install", "--no-audit", "--no-fund", "--prefix", folder, name, cwd=folder)
            assert installed.returncode == 0, installed.stderr
            (folder / "done").touch()
    return folder
