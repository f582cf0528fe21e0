"""What the agent imports and compiles while an application starts is only what it needs then."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mystic_agent.contract.named import NamedTuple
from mystic_agent.contract.pattern import pattern

ROOT = Path(__file__).parents[2]
SLOW = ("asyncio", "dataclasses", "email", "http", "inspect", "logging", "ssl", "subprocess", "urllib.parse", "wrapt")


class Pair(NamedTuple):
    """Two numbers."""

    a: int
    b: float = 2.5

    @property
    def total(self) -> float:
        """Both."""
        return self.a + self.b


def test_named_tuples_are_as_those_of_typing():
    assert (Pair(1), Pair(1, 2.0).total, Pair(b=1.0, a=3)) == ((1, 2.5), 3.0, (3, 1.0))
    assert (Pair.__doc__, Pair.__name__, Pair.__module__, Pair.__qualname__) == (
        "Two numbers.",
        "Pair",
        __name__,
        "Pair",
    )
    assert (Pair._fields, Pair._field_defaults) == (("a", "b"), {"b": 2.5})
    assert Pair(1)._replace(a=2) == Pair(2)
    assert repr(Pair(1)) == "Pair(a=1, b=2.5)"
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        Pair()


@pytest.mark.parametrize("text", ["", "a1", "no match", "a22 a333"])
def test_patterns_find_what_compiled_ones_find(text):
    found, compiled = pattern(r"a(\d+)"), re.compile(r"a(\d+)")
    assert found.findall(text) == compiled.findall(text)
    assert found.sub("-", text) == compiled.sub("-", text)
    for name in ("match", "fullmatch", "search"):
        one, other = getattr(found, name)(text), getattr(compiled, name)(text)
        assert (one and one.span()) == (other and other.span())
    with pytest.raises(AttributeError):
        found.nothing
    with pytest.raises(re.error):
        pattern("(").search("a")


def test_an_observed_application_gets_no_module_that_takes_long_to_import(tmp_path):
    (tmp_path / "project.py").write_text("def f():\n    return 1\n")
    program = f"import json, project, sys; print(json.dumps([project.f(), [m for m in {SLOW} if m in sys.modules]]))"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MYSTIC_", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={
            **kept,
            "PYTHONPATH": str(ROOT / "sitecustomize" / "mystic_bootstrap"),
            "PROJECT_ROOT": str(tmp_path),
            "MYSTIC_ENABLED": "true",
            "MYSTIC_PORT": "9",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout) == [1, []]
    assert done.stderr == ""


def test_nothing_of_the_agent_makes_named_tuples_by_typing():
    made = []
    for path in sorted((ROOT / "agent").rglob("*.py")):
        if path.name == "named.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "typing":
                made += [str(path) for one in node.names if one.name == "NamedTuple"]
    assert made == []
