"""The agent passes its tests on every other Python from 3.11 on that this machine has."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.host.apps import environment

ROOT = Path(__file__).parents[3]
HIJACKS = ("references", "sameness", "exceptions", "asynchronous", "recursion", "changes_under_load", "endings")
TESTS = ("tests/agent", *(f"tests/host/hijack/test_{name}.py" for name in HIJACKS))
WITHOUT = ("test_cli", "test_cache_shared", "test_canaries")
"""The command line's need the installed program, the others the collector."""
PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14")


def found() -> dict[str, Path]:
    """Return the interpreters of this machine by version, on PATH or under pyenv, without the one that runs us."""
    seen: dict[str, Path] = {}
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for name in PYTHONS:
        managed = sorted(versions.glob(f"{name.removeprefix('python')}.*/bin/python")) if versions.is_dir() else []
        named = shutil.which(name)
        for python in (*managed, *([Path(named)] if named else [])):
            answer = subprocess.run(
                [
                    python,
                    "-c",
                    "import sys, sysconfig; print(sys.version_info[:2], sysconfig.get_config_var('Py_GIL_DISABLED'))",
                ],
                capture_output=True,
                text=True,
            )
            match = re.match(r"\((\d+), (\d+)\) (?:0|None)", answer.stdout)
            if match and (int(match[1]), int(match[2])) != sys.version_info[:2]:
                seen.setdefault(f"{match[1]}.{match[2]}", python)
                break
    return seen


OTHERS = found()


@pytest.mark.parametrize("version", OTHERS or ["none"])
def test_the_agents_tests_pass_on_another_interpreter_too(version, tmp_path):
    if version == "none":
        pytest.skip(f"no other Python than {sys.version.split()[0]} from 3.11 on was found on PATH or under pyenv")
    python = environment.install(OTHERS[version], Path(__file__).with_name("agent.txt"))
    ours = ("MYSTIC_", "PYTHON", "OTEL_", "PROJECT_ROOT", "PYTEST_", "VIRTUAL_ENV")
    plain = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(
        # most of tests/host starts interpreters itself
        [python, "-m", "pytest", *TESTS, *map("--ignore-glob=*{}*".format, WITHOUT), f"--basetemp={tmp_path / 'tmp'}"],
        cwd=ROOT,
        env=plain | {"PYTHONPATH": "agent:sitecustomize", "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 250


def test_a_fork_in_the_main_script_says_no_more_than_without_us(tmp_path):
    """Python 3.12 and newer warn of a fork in a process with several threads, and ours are not the application's."""
    newer = [python for version, python in OTHERS.items() if version != "3.11"]
    python = Path(sys.executable) if sys.version_info >= (3, 12) else (newer or [None])[0]
    if python is None:
        pytest.skip("no Python 3.12 or newer was found on PATH or under pyenv")
    python = environment.install(python, Path(__file__).with_name("agent.txt"))
    script = tmp_path / "forking.py"
    script.write_text(
        "import os, sys, threading\n"
        "def work():\n    return 1\n"
        "work()\n"
        "if 'threads' in sys.argv:\n"
        "    over = threading.Event()\n"
        "    threading.Thread(target=over.wait, daemon=True).start()\n"
        "child = os.fork()\n"
        "if not child:\n    work()\n    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "print('done')\n"
    )

    def said(*words: str, **env: str) -> tuple[int, str, int]:
        plain = {n: t for n, t in os.environ.items() if not n.startswith(("MYSTIC_", "PYTHON"))}
        ended = subprocess.run(
            [python, script, *words], env=plain | env, cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        return ended.returncode, ended.stdout, ended.stderr.count("DeprecationWarning")

    on = {
        "PYTHONPATH": str(ROOT / "sitecustomize" / "mystic_bootstrap"),
        "MYSTIC_PORT": "1",
        "PROJECT_ROOT": str(tmp_path),
    }
    assert said(**on) == said() == (0, "done\n", 0)
    assert said("threads", **on) == said("threads") == (0, "done\n", 1)
