"""log and snapshot look at values that fight back: the call is unaffected, and nothing of ours fails."""

from __future__ import annotations

import contextlib
import sys
import threading
import time

import pytest
from module_under_test import FORMS
from mystic_agent.guard import guard

STRATEGIES = {
    "log": {"log": {"result": True}},
    "snapshot": {"snapshot": {"rate": 1000, "count": 1000}},
    "snapshot when": {"snapshot": {"rate": 1000, "when": "a == 1 or result == a or len(a) > 2 or a in (1, 2) or a"}},
}
HOOKS = """
    __repr__ __str__ __eq__ __ne__ __lt__ __hash__ __len__ __iter__ __bool__ __contains__ __getattribute__ __getattr__
    __format__ __sizeof__ __dir__ __index__ __int__ __float__ __reduce_ex__ __class_getitem__
"""


def explode(*_):
    raise SystemExit("application code ran")


def recurse(self, *_):
    return repr(self)


def hang(*_):
    threading.Event().wait(3600)


class Meta(type):
    __repr__ = explode

    def __getattribute__(cls, name):
        if name in ("__qualname__", "__module__", "__name__", "__dataclass_fields__"):
            explode()
        return super().__getattribute__(name)


def values():
    """Return new hostile values by name."""
    made = {}
    for name, hook in {"raising": explode, "recursive": recurse, "hanging": hang}.items():
        made[name] = type("Hostile", (), dict.fromkeys(HOOKS.split(), hook))()
    made["of a hostile metaclass"] = Meta("Hostile", (), {})()
    for base in (str, int, list, dict, tuple, set, bytes, float):
        kind = type(
            f"Hostile{base.__name__}", (base,), dict.fromkeys(("__repr__", "__eq__", "__len__", "__iter__"), explode)
        )
        made[f"subclass of {base.__name__}"] = kind.__new__(kind)
    made["lying dataclass"] = type("Lying", (), {"__dataclass_fields__": {"a": 1, 5: 2}})()
    made["lying dict"] = type("Lying", (), {"__dict__": property(explode)})()
    hostile = made["raising"]
    made["inside containers"] = [hostile, {"a": (hostile,), 5: [hostile]}, hostile]
    cycle = [1]
    cycle.append({"again": cycle})
    made["cycle"] = cycle
    deep = []
    for _ in range(100_000):
        deep = [deep]
    made["deep"] = deep
    made["huge bytes"] = bytes(2 * 10**8)
    made["huge text"] = "x" * 10**7
    made["huge number"] = 1 << 10**7
    made["huge list"] = list(range(10**6))
    made["huge dict"] = dict.fromkeys(range(10**6))
    made["generator"] = (explode() for _ in range(3))
    made["module"] = sys
    made["frame"] = sys._getframe()
    return made


NAMES = list(values())
VALUES = values()


@contextlib.contextmanager
def unharmed():
    """Nothing of ours may fail, or take longer than many seconds, meanwhile."""
    faults, began = dict(guard.faults), time.thread_time()
    yield
    assert guard.faults == faults
    assert time.thread_time() - began < 10


def call(app, form, *args, **kwargs):
    """Call it; a coroutine is driven by hand, because asyncio.run shows the result of its task."""
    result = app.bound(form)(*args, **kwargs)
    if form != "coroutine":
        return result
    try:
        result.send(None)
    except StopIteration as ended:
        return ended.value


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_hostile_value_goes_in_and_comes_out_untouched(app, strategy, name):
    value = VALUES[name]
    app.module._run = lambda *given: given  # its own compares
    for form in FORMS.values():
        app.apply(form, STRATEGIES[strategy])
        with unharmed():
            result = call(app, form, value, b=value, c=value, d=value)
        untouched = result[0] is value and result[4]["d"] is value  # pytest would show what it compares
        assert untouched
        events = app.attachments.events.collect()
        assert len(events) == (1 if strategy != "snapshot when" or len(events) else 0)
        assert sum(len(event.body) for event in events) < 20_000
    if name == "generator":
        assert value.gi_frame is not None, "it was not even begun"


def exceptions():
    kinds = {
        "repr": dict.fromkeys(("__repr__", "__str__", "__hash__", "__eq__"), explode),
        "args": {"args": property(explode), "__notes__": property(explode)},
        "traceback": {"__traceback__": property(explode), "__cause__": property(explode), "__context__": 5},
        "attribute": {"__getattribute__": explode, "__getattr__": explode},
    }
    made = {name: type("Bad", (Exception,), body)("text") for name, body in kinds.items()}
    made["hostile argument"] = ValueError(VALUES["raising"], VALUES["huge text"], 10**10_000, VALUES["deep"])
    made["bad notes"] = ValueError("x")
    made["bad notes"].__dict__["__notes__"] = [VALUES["raising"], 5, "fine"]
    made["base"] = type("Base", (BaseException,), {"__str__": explode})("text")
    made["group"] = ExceptionGroup("several", [ValueError("a"), TypeError("b")])
    made["of itself"] = ValueError("loop")
    made["of itself"].__cause__ = KeyError("cause")
    made["of itself"].__cause__.__cause__ = made["of itself"]
    return made


EXCEPTIONS = exceptions()


@pytest.mark.parametrize("name", EXCEPTIONS)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_hostile_exception_passes_as_the_same_object(app, strategy, name):
    error = EXCEPTIONS[name]
    app.module._run = lambda *_: (_ for _ in ()).throw(error)
    for form in FORMS.values():
        app.apply(form, STRATEGIES[strategy])
        caught = None
        with unharmed():
            try:
                call(app, form, 1)
            except BaseException as passed:
                caught = passed
        same = caught is error
        assert same
        assert len(app.attachments.events.collect()) == 1


def test_a_recursion_near_the_limit_ends_as_it_would(app_of):
    app = app_of("""
        def down(n):
            return 0 if n == 0 else 1 + down(n - 1)
    """)
    for strategy in STRATEGIES.values():
        if "when" in strategy.get("snapshot", {}):
            continue
        app.apply("down", strategy)
        with unharmed():
            assert app.module.down(200) == 200
