"""Another implementation must take the same calls, lie where hijacks may name code, and may build on the original."""

from __future__ import annotations

import asyncio
import sys
import threading
from types import FunctionType

import pytest
from module_under_test import application, hijack
from mystic_agent.attachments import Attachments
from mystic_agent.observe.trace import Tracer
from mystic_agent.scope import Scope
from mystic_agent.strategies.signature import arrangement, difference
from mystic_agent.trampoline import flatten


def function(parameters, kind=""):
    space = {}
    body = "yield locals()" if kind == "generator" else "return {**locals()}"
    exec(f"{'async ' if kind == 'async' else ''}def f({parameters}):\n    {body}", space)
    return space["f"]


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("a, b=1", "a, b"),
        ("a, b", "a, b, c=1, *, d=2"),
        ("a, *, k", "a, *, k=1, j=2"),
        ("a, *, k", "a, k=1"),
        ("a, *, k", "a, k"),
        ("a, *, k", "a, **more"),
        ("a, b", "*args"),
        ("a, b, *, k", "*args, **kwargs"),
        ("a, /, b", "a, b, /"),
        ("*args, **kwargs", "*others, **more"),
        ("a, *args, k=1, **kwargs", "a, *args, k, **kwargs"),
        ("a, /, **kwargs", "a, /, **kwargs"),
    ],
)
def test_what_takes_the_same_calls_gets_the_same_values(here, there):
    mine, other = function(here), function(there)
    assert difference(mine.__code__, other) == ""
    given = FunctionType(flatten(mine.__code__), {})
    count = given.__code__.co_argcount
    names = given.__code__.co_varnames[:count]
    values = tuple({"args": (7, 8), "kwargs": {"z": 9}}.get(name, name) for name in names)
    args, kwargs = arrangement(mine.__code__)(values)
    received = other(*args, **kwargs)
    flat = {name: value for name, value in zip(names, values, strict=True) if name not in ("args", "kwargs")}
    for name, value in flat.items():
        everywhere = [
            received.get(name),
            *received.get("args", ()),
            *(v for part in ("kwargs", "more") for v in received.get(part, {}).values()),
        ]
        assert value in everywhere
    if "args" in names:
        assert (7, 8) in (received.get("args"), received.get("others"))
    if "kwargs" in names:
        assert {"z": 9} in (received.get("kwargs"), received.get("more"))


@pytest.mark.parametrize(
    ("here", "there", "wrong"),
    [
        ("a, b", "b, a", "its parameter 1 is b and here it is a"),
        ("a, b", "a", "it has no parameter b"),
        ("a", "a, b", "its parameter b has no default"),
        ("a, *args", "a, b=1, *args", "its parameter b would take what is in *args here"),
        ("a, *, k", "a, *, j=1", "it has no keyword k"),
        ("a", "a, *, j", "its keyword j has no default"),
        ("*args", "", "it takes no *args"),
        ("**kwargs", "", "it takes no **kwargs"),
        ("a, /, **kwargs", "a, **kwargs", "is not by position only"),
        ("a, *, k", "a, k=1, /", "it has no keyword k"),
    ],
)
def test_what_does_not_is_told_by_its_first_difference(here, there, wrong):
    assert wrong in difference(function(here).__code__, function(there))


def test_another_kind_of_function_is_a_difference():
    assert (
        difference(function("a").__code__, function("a", "async"))
        == "it is a coroutine function and this is a plain function"
    )
    assert "generator function" in difference(function("a", "async").__code__, function("a", "generator"))


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("{0}:plain", "is the function itself"),
        ("{0}:Thing.other_method", "its parameter 1 is self and here it is a"),
        ("{0}:other_coroutine", "it is a coroutine function and this is a plain function"),
        ("{0}:nothing", "is no Python function"),
        ("{0}:Thing", "is no Python function"),
        ("os:system", "MYSTIC_ALLOW"),
        ("mystic_agent.guard:guard", "MYSTIC_ALLOW"),
        ("no_such_module:f", "MYSTIC_ALLOW"),
    ],
)
@pytest.mark.parametrize("strategy", ["redirect", "ab", "rollout"])
def test_what_cannot_stand_in_is_refused_with_the_reason(app, strategy, to, reason):
    key = {"key": "a"} if strategy == "rollout" else {}
    report = app.apply("plain", {strategy: {"to": to.format(app.module.__name__), **key}})
    assert report.state == "failed"
    assert reason in report.reason
    assert app.call("plain", 1)[0] == 1


@pytest.mark.parametrize("form", ["generator", "async_generator"])
def test_generators_are_refused(app, form):
    report = app.apply(form, {"redirect": {"to": app.name("generator")}})
    assert (report.state, "between the steps" in report.reason) == ("failed", True)


BUILDING = """
    import asyncio, threading
    runs = []
    def old(n):
        runs.append(("old", n))
        return n if n < 2 else old(n - 1) + n
    def new(n):
        runs.append(("new", n))
        return old(n) * 10
    async def old_async(n):
        runs.append(("old", n))
        return n
    async def new_async(n):
        runs.append(("new", n))
        return sum(await asyncio.gather(old_async(n), old_async(n)))
    spawned = []
    async def spawning(n):
        async def later(gate):
            await gate.wait()
            return await old_async(n)
        gate = asyncio.Event()
        spawned.append((asyncio.create_task(later(gate)), gate))
        return n
    def one(n):
        return ("one", two(n)) if n else "one"
    def two(n):
        return ("two", one(n - 1)) if n else "two"
    def wrong(n):
        raise KeyError(n)
"""


@pytest.fixture
def building(tmp_path):
    with application(tmp_path, BUILDING) as (module, attachments):

        def redirect(**pairs):
            hijacks = [
                hijack(f"{module.__name__}:{a}", {"redirect": {"to": f"{module.__name__}:{b}"}}, identity=a)
                for a, b in pairs.items()
            ]
            attachments.apply(hijacks)

        yield module, redirect


def test_a_new_implementation_may_call_the_old_one(building):
    module, redirect = building
    redirect(old="new")
    assert module.old(3) == 60
    assert module.runs == [("new", 3), ("old", 3), ("old", 2), ("old", 1)]
    assert module.old(1) == 10


def test_tasks_of_a_new_implementation_reach_the_old_one_until_it_has_ended(building):
    module, redirect = building
    redirect(old_async="new_async")
    assert asyncio.run(module.old_async(4)) == 8
    module.runs.clear()
    redirect(old_async="spawning")

    async def main():
        assert await module.old_async(4) == 4
        [(task, gate)] = module.spawned
        gate.set()
        await asyncio.sleep(0)
        await task
        return len(module.spawned)

    assert asyncio.run(main()) == 2  # the task that outlived it was sent to the new implementation again


def test_functions_that_stand_in_for_each_other_in_a_circle_end_at_the_one_that_was_called(building):
    module, redirect = building
    redirect(one="two", two="one")
    assert [module.one(0), module.two(0)] == ["one", "two"]
    redirect(one="two")
    assert [module.one(0), module.two(0)] == ["two", "two"]


def test_what_the_new_implementation_raises_is_the_callers(building):
    module, redirect = building
    redirect(old="wrong")
    for _ in range(2):  # the way back is open again after it
        with pytest.raises(KeyError, match="5"):
            module.old(5)


@pytest.fixture
def later(tmp_path, monkeypatch):
    """An application beside a module that nobody has imported yet."""
    monkeypatch.syspath_prepend(str(tmp_path))
    with application(tmp_path, "def old(n):\n    return n\n") as (module, attachments):
        name = f"{module.__name__}_new"

        def write(source):
            (tmp_path / f"{name}.py").write_text(source)
            attachments.apply([hijack(f"{module.__name__}:old", {"redirect": {"to": f"{name}:new"}})])
            [attached] = attachments.by_name.values()
            return attached

        yield module, write
        sys.modules.pop(name, None)


def test_a_module_that_is_not_loaded_is_imported_by_the_first_call(later):
    module, write = later
    attached = write("import threading\nby = threading.get_ident()\ndef new(n):\n    return n + 100\n")
    assert attached.state == "attached"
    assert f"{module.__name__}_new" not in sys.modules
    results = []
    thread = threading.Thread(target=lambda: results.append((module.old(1), threading.get_ident())))
    thread.start()
    thread.join(20)
    assert results == [(101, sys.modules[f"{module.__name__}_new"].by)]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise KeyError", "cannot be imported: KeyError"),
        ("def other(n): ...", "is no Python function"),
        ("def new(m): ...", "its parameter 1 is m and here it is n"),
    ],
)
def test_what_only_its_import_shows_to_be_wrong_leaves_the_original_in_place(later, source, reason):
    module, write = later
    attached = write(source)
    assert [module.old(1), module.old(2)] == [1, 2]
    [count] = [c for c in attached.meter.counts() if c.metric == "mystic.function.decisions"]
    told = dict(count.attributes)
    assert (told["mystic.decision"], count.value) == ("passed", 2)
    assert reason in told["mystic.reason"]


@pytest.mark.parametrize(
    ("allow", "module", "allowed"),
    [
        ((), "own_module_of_nobody", False),
        (("json.*", "app"), "json.decoder", True),
        (("json.*",), "json", False),
        (("*",), "anything", True),
        (("*",), "mystic_agent.guard", False),
    ],
)
def test_the_allow_list_takes_the_place_of_the_project(tmp_path, allow, module, allowed):
    attachments = Attachments(Scope(str(tmp_path), (), ()), Tracer(0), "test", "app", set(), allow)
    assert attachments.allowed(module) is allowed


def test_the_project_owns_what_is_under_its_root_loaded_or_not(tmp_path, monkeypatch):
    package = tmp_path / "owned_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "part.py").write_text("")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "foreign_module.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path / ".venv"))
    scope = Scope(str(tmp_path), (), ())
    assert [scope.owns(n) for n in ("owned_package", "owned_package.part", "json", "foreign_module")] == [
        True,
        False,
        False,
        False,
    ]
    __import__("owned_package")
    try:
        assert [scope.owns(n) for n in ("owned_package", "owned_package.part", "owned_package.none")] == [
            True,
            True,
            False,
        ]
    finally:
        del sys.modules["owned_package"]
    assert not Scope("", (), ()).owns("owned_package")
