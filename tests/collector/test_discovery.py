"""What functions a project has, without running any of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from mystic_agent.contract.errors import Invalid
from mystic_collector.discovery.config import ignore_patterns, write_config
from mystic_collector.discovery.resolve import resolve
from mystic_collector.discovery.source import discover

from tests.collector.test_commands import mystic

KNOWN = ["app.ocr:process", "app.ocr:Service.process", "app.db:Session.commit", "tools:main"]


def names(root: Path, *ignore: str) -> list[str]:
    return [one.function for one in discover(root, ignore)[0]]


def test_every_kind_of_function_is_found_and_nothing_is_run(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(
        '''
raise SystemExit("run!")
def f():
    """First line.

    Second."""
    def inner(): yield 1
    lambda: (yield)
@staticmethod
@other.decorator(3)
def g(): yield from ()
class A:
    class B:
        async def c(self): ...
    async def d(self):
        yield
if True:
    def h(): ...
try:
    pass
except Exception:
    def i(): ...
match 1:
    case 1:
        def j(): ...
'''
    )
    found = {one.function: one for one in discover(tmp_path)[0]}
    assert {name: one.kind for name, one in found.items()} == {
        "one:f": "function",
        "one:f.<locals>.inner": "generator",
        "one:g": "generator",
        "one:A.B.c": "coroutine",
        "one:A.d": "async_generator",
        "one:h": "function",
        "one:i": "function",
        "one:j": "function",
    }
    assert (found["one:f"].doc, found["one:f"].line, found["one:f"].file) == ("First line.", 3, "one.py")
    assert found["one:g"].decorators == ("staticmethod", "other.decorator(3)")


def test_modules_are_named_as_they_are_imported(tmp_path: Path) -> None:
    for path in (
        "pkg/__init__.py",
        "pkg/sub/__init__.py",
        "pkg/sub/m.py",
        "src/lib/__init__.py",
        "src/lib/n.py",
        "src/s.py",
    ):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("def f(): ...\n")
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "nightly.py").write_text("def f(): ...\n")
    assert sorted(names(tmp_path)) == ["jobs.nightly:f", "lib.n:f", "lib:f", "pkg.sub.m:f", "pkg.sub:f", "pkg:f", "s:f"]


def test_what_the_project_ignores_is_left_out(tmp_path: Path) -> None:
    for folder in (".venv", "env", "build", "node_modules", "deep/old", "keep"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "m.py").write_text("def f(): ...\n")
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    (tmp_path / "test_x.py").write_text("def f(): ...\n")
    assert names(tmp_path, "build/", "deep/old", "test_*.py") == ["keep.m:f"]
    write_config(tmp_path)
    assert ignore_patterns(tmp_path) == ("*.pyc", "__pycache__", ".git", ".venv")


def test_what_init_writes_into_a_project_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("def price(): ...")
    assert mystic("init", cwd=tmp_path).returncode == 0
    assert (tmp_path / "mystic_server.py").is_file()
    assert names(tmp_path) == ["shop:price"]


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_found(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text("def f(): ...\n")
    (tmp_path / "bad.py").write_text("def f(:\n")
    (tmp_path / "deep.py").write_text("x = " + "(" * 5000 + ")" * 5000)
    (tmp_path / "null.py").write_bytes(b"def g(): ...\0")
    (tmp_path / "latin.py").write_bytes(b"# -*- coding: latin-1 -*-\ndef caf\xe9(): ...\n")
    (tmp_path / "unknown.py").write_bytes(b"# -*- coding: klingon -*-\n")
    (tmp_path / "large.py").write_bytes(b"#" * (5 * 2**20 + 1))
    found, unread = discover(tmp_path)
    assert [one.function for one in found] == ["good:f", "latin:café"]
    assert [one.file for one in unread] == ["bad.py", "deep.py", "large.py", "null.py", "unknown.py"]


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("app.ocr:process", "app.ocr:process"),
        ("not.there:yet", "not.there:yet"),
        ("app.*:process_*", "app.*:process_*"),
        ("app.ocr.process", "app.ocr:process"),
        ("app.ocr.Service.process", "app.ocr:Service.process"),
        ("Service.process", "app.ocr:Service.process"),
        ("commit", "app.db:Session.commit"),
        (" main ", "tools:main"),
        ("vendored.unknown", "vendored:unknown"),
    ],
)
def test_what_people_write_means_one_function(text: str, target: str) -> None:
    assert resolve(text, KNOWN) == target


def test_what_runs_goes_before_what_is_only_written() -> None:
    assert resolve("slow", ["__main__:slow"], ["shop:slow", "other:slow"]) == "__main__:slow"
    assert resolve("shop.slow", ["__main__:slow"], ["shop:slow"]) == "shop:slow"


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("process", "say which one: app.ocr:Service.process, app.ocr:process"),
        ("comit", "did you mean app.db:Session.commit"),
        ("ocr.proces", "did you mean app.ocr"),
        ("quux", "list them"),
        ("", "name a function"),
        ("a b:c", "write it as"),
    ],
)
def test_what_means_none_or_several_is_refused_with_help(text: str, remedy: str) -> None:
    with pytest.raises(Invalid, match=remedy):
        resolve(text, KNOWN)


def test_a_damaged_configuration_is_named(tmp_path: Path) -> None:
    (tmp_path / ".mystic").mkdir()
    for text in ("{", "[]", '{"ignore_patterns": "x"}'):
        (tmp_path / ".mystic" / "config.json").write_text(text)
        with pytest.raises(Invalid):
            ignore_patterns(tmp_path)
