"""The own test suites of real libraries pass, fail and skip the same with every function of the library hijacked."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import mystic_bootstrap
import pytest

from tests.host.apps import environment
from tests.host.apps.receiver import Receiver

HERE = Path(__file__).parent


def outcomes(python, suite, folder, **variables):
    """Run the suite and return what became of each of its tests."""
    ours = ("MYSTIC_", "PYTHON", "OTEL_", "PROJECT_ROOT", "LOG_LEVEL", "COV_", "PYTEST_", "VIRTUAL_ENV")
    plain = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
    folder.mkdir()
    found = folder / "outcomes.xml"
    argv = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={folder / 'tmp'}"]
    argv += ["-o", "faulthandler_timeout=60", f"--junitxml={found}", "tests"]
    done = subprocess.run(
        argv,
        cwd=suite,
        env=plain | {"PYTHONDONTWRITEBYTECODE": "1"} | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
    )
    assert found.exists(), done.stdout[-3000:]
    cases = ElementTree.parse(found).getroot().iter("testcase")
    return [(case.get("classname"), case.get("name"), *_what(case)) for case in cases]


def _what(case):
    ends = [(child.tag, child.get("type"), child.get("message")) for child in case if child.tag != "properties"]
    return ends[0] if ends else ("passed", None, None)


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("library", "release", "tests", "functions", "calls"),
    [("click", "click==8.1.8", 600, 350, 50_000), ("flask", "flask==3.1.2", 450, 300, 20_000)],
)
def test_a_library_passes_its_own_tests_with_every_function_hijacked(
    library, release, tests, functions, calls, receiver, tmp_path
):
    python = environment.install(Path(sys.executable), HERE / f"{library}.txt")
    suite = environment.source(python, release)
    bare = outcomes(python, suite, tmp_path / "bare")
    hijacked = outcomes(
        python,
        suite,
        tmp_path / "hijacked",
        PYTHONPATH=mystic_bootstrap.FOLDER,
        MYSTIC_PORT=str(receiver.port),
        MYSTIC_TARGETS=f"{library}:*,{library}.*:*",
        MYSTIC_OVERHEAD_BUDGET="off",
        MYSTIC_TRACES_PER_SECOND="all",
    )
    assert hijacked == bare
    assert Counter(case[2] for case in bare)["passed"] > tests
    states = Counter(state for known in receiver.states.values() for state in known.values())
    assert states["failed"] == 0
    counted = receiver.calls(f"{library}*")
    assert len(counted) > functions
    assert sum(counted.values()) > calls
