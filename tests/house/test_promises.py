"""Nothing is promised untested, and nothing tested unnamed."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def listed(root: Path) -> dict[str, list[dict[str, Any]]]:
    return tomllib.loads((root / "tests" / "promises.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tests(root: Path) -> set[str]:
    """Every test as path::name below tests/, as pytest collects them: functions of test files, without parameters."""
    folder, found = root / "tests", set()
    for file in folder.rglob("test_*.py"):
        names = []
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            assert not (isinstance(node, ast.ClassDef) and node.name.startswith("Test")), "tests are functions"
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
                names.append(node.name)
        assert not [name for name, times in Counter(names).items() if times > 1], f"{file.name} hides a test"
        found |= {f"{file.relative_to(folder).as_posix()}::{name}" for name in names}
    return found


def patterns(listed: dict[str, list[dict[str, Any]]]) -> list[str]:
    return [pattern for entries in listed.values() for entry in entries for pattern in entry["tests"]]


def matches(pattern: str, test: str) -> bool:
    return fnmatchcase(test, pattern if "::" in pattern else f"{pattern}::*")


def test_every_promise_says_something_once_and_names_tests(listed: dict[str, list[dict[str, Any]]]) -> None:
    assert listed.keys() == {"promise", "support"}
    for promise in listed["promise"]:
        assert promise.keys() == {"id", "says", "tests"}, promise
        assert re.fullmatch(r"[a-z0-9-]+", promise["id"]), promise["id"]
        assert promise["says"].endswith("."), promise["id"]
        assert promise["tests"], promise["id"]
    for support in listed["support"]:
        assert support.keys() == {"tests", "reason"}, support
    assert max(Counter(promise["id"] for promise in listed["promise"]).values()) == 1


def test_every_test_that_a_promise_names_exists(listed: dict[str, list[dict[str, Any]]], tests: set[str]) -> None:
    lost = [pattern for pattern in patterns(listed) if not any(matches(pattern, test) for test in tests)]
    assert not lost, f"promises.toml names tests that do not exist: {lost}"


def test_every_test_that_exists_shows_a_promise(listed: dict[str, list[dict[str, Any]]], tests: set[str]) -> None:
    named = patterns(listed)
    unnamed = sorted(test for test in tests if not any(matches(pattern, test) for pattern in named))
    assert not unnamed, f"name these in tests/promises.toml, under the promise they show: {unnamed}"
