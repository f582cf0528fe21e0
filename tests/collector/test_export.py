"""A patch does in source what the hijack did: taken by git and patch, run without us."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mystic_agent.contract.strategy import OBSERVING, STRATEGIES, parse_strategy
from mystic_collector.export import expressed
from mystic_collector.export.edit import decorated
from mystic_collector.export.export import Export, Wanted, export
from mystic_collector.export.module import module

from .applications import application
from .conftest import until

SHOP = '''#!/usr/bin/env python
# -*- coding: utf-8 -*-
"""A shop."""

from __future__ import annotations

import asyncio  # for waiting
from functools import (
    partial,
)

runs = []   # what was computed


def price(item, quantity=1):   # the price
    """Look it up."""
    runs.append((item, quantity))
    return {"item": repr(item), "run": len(runs)}


class Shop:
    \tname = "shop"

    # who is asked
    def __init__(self, name="x"):
        self.name = name

    @classmethod
    # a comment between
    def stock(
        cls, item
    ):
        runs.append(item)
        return len(runs)

    @staticmethod
    async def ship(item): runs.append(item); await asyncio.sleep(0.01); return len(runs)

    def items(self):
        yield 1

    @property
    def total(self):
        runs.append(self.name)
        return len(runs)
'''.replace("    \tname", "    name")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "shop.py").write_text(SHOP)
    return root


def asked(root: Path, function: str, *strategies: Any, file: str = "shop.py", line: int = 0) -> Export:
    specs = tuple(parse_strategy(one, "s") for one in strategies)
    return export([Wanted(function, root / file, line, specs, ("h",))], root)


def applied(root: Path, patch: str, *command: str) -> None:
    """Apply a patch as people do."""
    command = command or ("git", "apply", "--whitespace=error-all", "-")
    if command[0] == "git":
        subprocess.run(["git", "init", "-q", "."], cwd=root, check=True)
    done = subprocess.run(command, cwd=root, input=patch.encode(), capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr + patch.encode()


def run(root: Path, code: str) -> Any:
    """Run code in the project with nothing of ours to be had, and return what it prints as JSON."""
    guard = "import sys; sys.modules.update(dict.fromkeys(['mystic_agent', 'mystic_collector', 'mystic_bootstrap']))\n"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MYSTIC_", "PYTHONPATH"))}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", guard + code],
        cwd=root,
        capture_output=True,
        text=True,
        env=kept,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("command", [("git", "apply", "--whitespace=error-all", "-"), ("patch", "-p1")])
@pytest.mark.parametrize("ends", ["\n", "\r\n", ""])
def test_git_and_patch_take_it_and_only_the_decorator_and_import_are_new(
    project: Path, command: tuple[str, ...], ends: str
) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]} here")
    text = SHOP.replace("\n", "\r\n") if ends == "\r\n" else SHOP if ends else SHOP.rstrip("\n")
    (project / "shop.py").write_text(text, newline="")
    found = asked(project, "shop:Shop.stock", {"cache": {"ttl": "1m"}})
    assert (found.functions, found.refused) == (["shop:Shop.stock"], [])
    if ends == "\r\n":
        command = tuple(one for one in command if "whitespace" not in one) + (("--binary",) * (command[0] == "patch"))
    applied(project, found.patch, *command)
    new = (project / "shop.py").read_bytes().decode()
    added = [line for line in new.split("\n") if line not in text.split("\n")]
    assert [line.strip() for line in added] == ["import mystic_exported", "@mystic_exported.cached(60.0)"]
    assert "".join(line + "\n" for line in new.split("\n") if line not in added)[:-1] == text
    assert new.index("# a comment between") < new.index("@mystic_exported.cached") < new.index("def stock(")
    ast.parse(new)


CALLS = """
import json, threading
import shop
calls = [(1,), (1.0,), (True,), ("1",), (b"1",), (1,), (None,), (None,), ((1, 2),), ([1, 2],), ([1, 2],),
         ({"a": 1, "b": 2},), ({"b": 2, "a": 1},), (0.0,), (-0.0,), (2, 1), (2,)]
told = [shop.price(*call)["run"] for call in calls]
told += [shop.price(item=1)["run"], shop.price(1, quantity=1)["run"], shop.price(quantity=2, item=1)["run"]]
told += [shop.price(object())["run"], shop.price(object())["run"]]
shop.price(1)["run"] = "changed by a caller"
told.append(shop.price(1)["run"])
"""


def test_an_exported_cache_hits_and_misses_exactly_as_the_hijack_did(
    start: Callable[..., Any], project: Path, tmp_path: Path
) -> None:
    with start(project_root=project) as collector:
        source = f"import shop\ninput()\n{CALLS}\nopen('told', 'w').write(json.dumps(told))"
        hijack = {"target": "shop:price", "stages": {"*": [{"cache": {"ttl": "1h"}}, "log"]}}
        with application(collector.url, project, source):
            made = collector.post("/api/hijacks", hijack, 201)
            path = f"/api/hijacks/{made['id']}"
            until(lambda: collector.get(path)["progress"]["attached"] == 1, "the hijack")
            found = collector.get(f"{path}/patch")
        assert found == collector.get("/api/patch")
        assert found["notes"] == ["shop:price: log is left out: watching stays with Mystic"]
    applied(project, found["patch"])
    hijacked = json.loads((project / "told").read_text())
    assert run(project, f"{CALLS}\nprint(json.dumps(told))") == hijacked
    assert len(set(hijacked)) < len(hijacked)


def test_an_exported_cache_keeps_its_time_computes_once_and_forgets_the_oldest(project: Path) -> None:
    (project / "shop.py").write_text(
        SHOP + "\n\ndef slow(a):\n    import time\n    time.sleep(0.05)\n    return price(a)\n"
    )
    found = asked(project, "shop:slow", {"cache": {"ttl": "150ms", "max_entries": 2}})
    applied(project, found.patch)
    code = """
import json, threading, time
import shop
threads = [threading.Thread(target=shop.slow, args=(1,)) for _ in range(50)]
[one.start() for one in threads]; [one.join() for one in threads]
once = len(shop.runs)
end = time.monotonic() + 30
while len(shop.runs) == 1 and time.monotonic() < end:
    shop.slow(1)
again = len(shop.runs)
shop.runs.clear(); shop.slow(7); shop.slow(8); shop.slow(9); shop.slow(7)
print(json.dumps([once, again, len(shop.runs)]))
"""
    assert run(project, code) == [1, 2, 4]


def test_every_form_of_function_gets_its_decorator(project: Path) -> None:
    for name in ("Shop.stock", "Shop.ship", "Shop.total", "price"):
        strategy = {"cache": {"ttl": "1h", **({"identity": ["name"]} if name == "Shop.total" else {})}}
        applied(project, asked(project, f"shop:{name}", strategy).patch)
    assert (project / "shop.py").read_text().count("import mystic_exported") == 1
    code = """
import asyncio, inspect, json
from shop import Shop, price, runs
async def ships():
    return await asyncio.gather(*(Shop.ship("pen") for _ in range(100)))
one, twin, other = Shop("a"), Shop("a"), Shop("b")
print(json.dumps([
    Shop.stock(1) == Shop().stock(1), len(set(asyncio.run(ships()))), inspect.iscoroutinefunction(Shop.ship),
    one.total == twin.total, one.total == other.total, str(inspect.signature(price)), price.__doc__, len(runs)]))
"""
    assert run(project, code) == [True, 1, True, True, False, "(item, quantity=1)", "Look it up.", 4]


PLAIN = """import asyncio

runs = []


def flaky(n):
    runs.append(n)
    if len(runs) < n:
        raise ConnectionError(n)
    return len(runs)


async def late(seconds):
    await asyncio.sleep(seconds)
    return 1


def old(a):
    return ("old", a)


def new(a):
    return ("new", old(a))
"""


def test_retry_timeout_rate_limit_and_redirect_run_as_plain_python(project: Path) -> None:
    (project / "shop.py").write_text(PLAIN)
    both = [{"rate_limit": {"rate": 2, "per": "1h"}}, {"redirect": {"to": "shop:new"}}]
    for name, strategies in (
        ("flaky", [{"retry": {"attempts": 3, "base": "1ms", "exceptions": ["ConnectionError"]}}]),
        ("late", [{"timeout": {"after": "20ms"}}]),
        ("old", both),
    ):
        applied(project, asked(project, f"shop:{name}", *strategies).patch)
    text = (project / "shop.py").read_text()
    assert text.index("@mystic_exported.limited(2.0, per=3600.0)") < text.index(
        "@mystic_exported.redirected('shop:new')"
    )
    code = """
import asyncio, json, shop
def outcome(call, *args):
    try:
        made = call(*args)
        return asyncio.run(made) if asyncio.iscoroutine(made) else made
    except Exception as error:
        return type(error).__name__
told = [outcome(shop.flaky, 3)]
shop.runs.clear()
told += [outcome(shop.flaky, 9), len(shop.runs), outcome(shop.late, 30), outcome(shop.late, 0)]
print(json.dumps(told + [outcome(shop.old, 1), outcome(shop.old, 1), outcome(shop.old, 1)]))
"""
    new = ["new", ["old", 1]]
    assert run(project, code) == [3, "ConnectionError", 3, "TimeoutError", 1, new, "RuntimeError", "RuntimeError"]


def test_a_function_of_a_package_imports_from_its_package(project: Path) -> None:
    folder = project / "app" / "deep"
    folder.mkdir(parents=True)
    (project / "app" / "__init__.py").write_text("def top():\n    return object()\n")
    (folder / "__init__.py").write_text("")
    (folder / "work.py").write_text("def work(a):\n    return object()\n")
    cache = {"cache": {"ttl": "1h", "copy": "never"}}
    applied(project, asked(project, "app.deep.work:work", cache, file="app/deep/work.py").patch)
    applied(project, asked(project, "app:top", cache, file="app/__init__.py").patch)
    assert (project / "app" / "mystic_exported.py").is_file()
    code = "import json\nfrom app.deep.work import work\nimport app\n"
    assert run(
        project, code + "print(json.dumps([work(1) is work(1), work(1) is work(2), app.top() is app.top()]))"
    ) == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("function", "strategy", "reason"),
    [
        ("shop:price", {"mock": {"value": 1}}, "belongs into tests"),
        ("shop:price", {"shadow": {"to": "shop:Shop.stock"}}, "once the new one has won"),
        ("shop:Shop.items", {"circuit_breaker": {}}, "not for generator functions"),
        ("shop:price", "log", "changes nothing"),
        ("shop:Shop.items", {"cache": {}}, "generator"),
        ("shop:price", {"cache": {"stale": "1m"}}, "cache.stale"),
        ("shop:nobody", {"cache": {}}, "does not define it"),
        ("shop:twice", {"cache": {}}, "2 times"),
    ],
)
def test_what_cannot_be_written_is_refused_with_the_reason(
    project: Path, function: str, strategy: Any, reason: str
) -> None:
    (project / "shop.py").write_text(f"{SHOP}\nif runs:\n    def twice(): ...\nelse:\n    def twice(): ...\n")
    found = asked(project, function, strategy)
    assert (found.patch, found.functions) == ("", [])
    assert reason in found.refused[0][1]


def test_only_the_project_is_patched_and_never_somebody_elses_module(project: Path, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("def f(): ...\n")
    assert "outside of the project" in asked(project, "other:f", {"cache": {}}, file="../other.py").refused[0][1]
    (project / "mystic_exported.py").write_text("mine = 1\n")
    with pytest.raises(ValueError, match="not from an export"):
        asked(project, "shop:price", {"cache": {}})


def test_the_running_line_tells_definitions_of_one_name_apart() -> None:
    text = "if 1:\n    def f(): return 1\nelse:\n    def f(): return 2\n"
    assert decorated(text, "f", 4, ["d"], "").index("@d") > text.index("else")
    overloads = (
        "from typing import overload\n@overload\ndef f(a: int): ...\n@overload\ndef f(a: str): ...\ndef f(a): ...\n"
    )
    assert decorated(overloads, "f", 0, ["d"], "p").endswith("@d\ndef f(a): ...\n")


def test_every_strategy_is_exported_left_out_or_refused_and_the_module_is_whole() -> None:
    whole = module(form.decorator for form in expressed.FORMS.values())
    compile(whole, "mystic_exported.py", "exec")
    assert module([], whole) == whole
    assert "def cached(" not in module(["retried"])
    assert "mystic_agent" not in whole
    assert not set(STRATEGIES) - set(expressed.FORMS) - set(expressed._NOT) - OBSERVING
