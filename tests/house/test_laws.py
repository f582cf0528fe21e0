"""The laws of the house, read off its source: cheap to check, easy to break without noticing."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = ("agent", "collector", "sitecustomize", "deploy")
LONGEST_FILE, LONGEST_FUNCTION = 350, 60
LONGEST_TEST_FILE, LONGEST_TEST_FUNCTION = 450, 80
# Longer than the rest, with the reason.
LONG: dict[str, str] = {}
TEXTS = (".py", ".md", ".toml", ".txt", ".pth", ".yml", ".yaml", ".json", ".svg", "")
FOLDERS = (*SOURCES, "tests", "docs", ".ci")
BROAD = ("Exception", "BaseException")


def sources(root: Path, *folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield (path from the root, tree) of every Python file."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            yield path.relative_to(root).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def texts(root: Path) -> Iterator[tuple[str, str]]:
    """Yield (path from the root, content) of everything people wrote."""
    top = [path for path in root.iterdir() if path.is_file() and not path.name.startswith(".venv")]
    for path in sorted([*top, *(path for folder in FOLDERS for path in (root / folder).rglob("*") if path.is_file())]):
        if path.suffix in TEXTS and "__pycache__" not in path.parts:
            yield path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the full names of what a tree imports at any depth; relative imports do not occur here."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""


def broad(handler: ast.ExceptHandler) -> bool:
    """True for ``except:``, ``except Exception`` and ``except BaseException``, alone or in a tuple."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or (isinstance(kind, ast.Name) and kind.id in BROAD) for kind in kinds)


def test_only_the_guard_ends_an_exception_of_any_kind(root: Path) -> None:
    for path, tree in sources(root, "agent"):
        for node in ast.walk(tree):
            if path != "agent/mystic_agent/guard.py" and isinstance(node, ast.ExceptHandler) and broad(node):
                last = node.body[-1]
                assert isinstance(last, ast.Raise), f"{path}:{node.lineno} ends what it catches; use guard.FAULTS"


def test_the_agent_imports_the_standard_library_and_wrapt_alone(root: Path) -> None:
    for path, tree in sources(root, "agent", "sitecustomize"):
        for name in imported(tree):
            top = name.partition(".")[0]
            if top in sys.stdlib_module_names or top in ("mystic_agent", "wrapt"):
                continue
            if top == "opentelemetry":
                assert path.startswith("agent/mystic_agent/forward_otel/"), f"{path} imports {name}"
            else:
                assert top == "mystic_bootstrap", f"{path} imports {name}"
                assert path.startswith(("agent/mystic_agent/cli/", "sitecustomize/")), f"{path} imports {name}"


def test_files_and_functions_stay_short_enough_to_read(root: Path) -> None:
    for path, tree in sources(root, *SOURCES, "tests"):
        in_tests = path.startswith("tests/")
        lines = len((root / path).read_text(encoding="utf-8").splitlines())
        assert lines <= (LONGEST_TEST_FILE if in_tests else LONGEST_FILE) or path in LONG, f"{path} has {lines} lines"
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                most = LONGEST_TEST_FUNCTION if in_tests else LONGEST_FUNCTION
                length = (node.end_lineno or 0) - node.lineno + 1
                assert length <= most, f"{path}:{node.lineno} {node.name} has {length} lines"
    for path in LONG:
        assert len((root / path).read_text(encoding="utf-8").splitlines()) > LONGEST_FILE, f"{path} is short again"


def test_tests_never_sleep_but_to_poll(root: Path) -> None:
    for path, tree in sources(root, "tests"):
        if path.startswith("tests/bench/"):
            continue  # its processes wait for a load to settle, and nothing is asserted
        polled = {
            id(call)
            for loop in ast.walk(tree)
            if isinstance(loop, ast.While | ast.For)
            for call in ast.walk(loop)
            if isinstance(call, ast.Call)
        }
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in ("time.sleep", "sleep") and call.args:
                assert id(call) in polled, f"{path}:{call.lineno} sleeps; wait for an event, or poll with a deadline"


def test_every_module_says_what_it_is_for(root: Path) -> None:
    for path, tree in sources(root, *SOURCES):
        assert ast.get_docstring(tree), f"{path} has no docstring"


def test_every_package_states_its_law(root: Path) -> None:
    for path, tree in sources(root, *SOURCES):
        if path.endswith("/__init__.py"):
            assert "Law:" in (ast.get_docstring(tree) or ""), f"{path} states no law"


FORBIDDEN = {
    "work that is left open": r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b",
    "a path of somebody's machine": r"(?<![\w.])/(?:home|Users)/\w+/|(?<![\w.])/(?:root|work)/[\w.]",
    "a folder outside of the project": r"\.\./sha" + r"red\b",
    "a number of an issue": r"(?i)\bissue #?\d",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_nothing_is_committed_that_means_nothing_elsewhere(root: Path, what: str) -> None:
    for path, content in texts(root):
        if what == "a folder outside of the project" and str(path) == ".ci/run":
            continue  # it looks there for engines, and does without them where there is no such folder
        found = re.search(FORBIDDEN[what], content)
        assert found is None, f"{path} holds {what}: {found[0]!r}"


def test_make_has_the_targets_that_people_and_the_whole_proof_use(root: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"demo", "test", "check", "bench"} <= targets
    proof = (root / ".ci" / "run").read_text(encoding="utf-8")
    assert set(re.findall(r"^make (\w+)", proof, re.MULTILINE)) == {"test", "check"}


def test_the_wheel_brings_the_three_packages_their_types_and_the_switch_at_its_root(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    done = subprocess.run([*command, "--wheel-dir", str(tmp_path), str(root)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [wheel] = tmp_path.glob("gnosis_mystic-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "gnosis_mystic.pth" in names
    for package in ("mystic_agent", "mystic_collector", "mystic_bootstrap"):
        assert {f"{package}/__init__.py", f"{package}/py.typed"} <= set(names)
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {
        "gnosis_mystic",
        "gnosis_mystic.pth",
        "mystic_agent",
        "mystic_bootstrap",
        "mystic_collector",
    }
    assert not [name for name in names if "test" in name]
