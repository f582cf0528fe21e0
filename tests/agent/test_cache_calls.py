"""A cache on every form of function, with arguments and results that mean no good."""

from __future__ import annotations

import asyncio
import gc
import threading
import traceback
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from module_under_test import application, counted, hijack
from mystic_agent.guard import guard
from mystic_agent.observe.trace import Tracer
from test_cache_key import strict, values

PATIENCE = 20
SOURCE = """
    import asyncio, dataclasses, enum, io, itertools, logging, socket, threading, warnings
    runs = []

    def plain(a, b=2, *rest, c=3, **more):
        runs.append(a); return [a, b, rest, c, more]
    async def coroutine(a, b=2, *rest, c=3, **more):
        runs.append(a); return [a, b, rest, c, more]

    class Thing:
        def __init__(self, n=1): self.n = n
        def method(self, a, b=2, *rest, c=3, **more):
            runs.append(a); return [a, b, rest, c, more]
        async def async_method(self, a, b=2, *rest, c=3, **more):
            runs.append(a); return [a, b, rest, c, more]
        @classmethod
        def by_class(cls, a, b=2, *rest, c=3, **more):
            runs.append(a); return [a, b, rest, c, more]
        @staticmethod
        def static(a, b=2, *rest, c=3, **more):
            runs.append(a); return [a, b, rest, c, more]
    class Other(Thing):
        pass
    class Slotted:
        __slots__ = ("n",)
        def __init__(self, n): self.n = n
        def method(self): runs.append(self.n); return self.n

    def any_value(value):
        runs.append(1); return (1,)
    def echo(value):
        runs.append(1); return value
    def echo_of(what):
        runs.append(what)
        one = []
        if what == "cycle":
            one.append(one)
            return one
        return [one, one, {"again": (one,)}]

    makers = {
        "generator": lambda: (n for n in (1, 2)),
        "iterator": lambda: iter([1, 2]),
        "map": lambda: map(str, [1]),
        "count": itertools.count,
        "file": io.StringIO,
        "bytes file": lambda: io.BytesIO(b"x"),
        "socket": socket.socket,
        "lock": threading.Lock,
        "rlock": threading.RLock,
        "in a list": lambda: [1, (n for n in (1, 2))],
        "in a dict": lambda: {"a": {"b": iter([1])}},
        "memoryview": lambda: memoryview(b"ab"),
    }
    def made(what):
        runs.append(what)
        result = makers[what]()
        alive.append(result)
        return result
    alive = []
    def returns_coroutine(a):
        runs.append(a)
        return coroutine(a)

    class Needy(Exception):
        def __init__(self, one, two): super().__init__(f"{one} {two}")
    class Detailed(Exception):
        def __init__(self, code): super().__init__(code); self.code = code
    def failing(kind):
        runs.append(kind)
        try:
            1 / 0
        except ZeroDivisionError as why:
            raise (Needy(1, 2) if kind == "needy" else Detailed(kind)) from why

    def warned(a):
        runs.append(a); warnings.warn("mind", stacklevel=2); return a
    async def warned_later(a):
        runs.append(a); warnings.warn("mind", stacklevel=2); return a
    def call_warned(a): return warned(a)
    class Unfriendly:
        def __deepcopy__(self, memo):
            copies.append(1)
            if len(copies) > 1: raise RuntimeError("not twice")
            return self
    copies = []
    def unfriendly(a):
        runs.append(a); return Unfriendly()
"""
FORMS = {
    "plain": "plain",
    "coroutine": "coroutine",
    "method": "Thing.method",
    "async_method": "Thing.async_method",
    "by_class": "Thing.by_class",
    "static": "Thing.static",
}


class App:
    def __init__(self, module, attachments):
        self.module = module
        self.attachments = attachments

    def cache(self, function, *before, **options):
        name = f"{self.module.__name__}:{function}"
        self.attachments.apply([hijack(name, *before, {"cache": {"ttl": "1h", **options}})])
        report = self.attachments.reports()[name]
        assert report.state == "attached", report.reason
        return report

    def decisions(self, function):
        return counted(self.attachments.by_name[f"{self.module.__name__}:{function}"])

    def bound(self, qualname, holder=None):
        if "." not in qualname:
            return getattr(self.module, qualname)
        return getattr(holder or self.module.Thing(), qualname.partition(".")[2])

    def call(self, qualname, *args, **kwargs):
        result = self.bound(qualname)(*args, **kwargs)
        return asyncio.run(result) if asyncio.iscoroutine(result) else result


@pytest.fixture
def app(tmp_path):
    with application(tmp_path, SOURCE, traces=float("inf")) as (module, attachments):
        yield App(module, attachments)


def options_of(form):
    return {"identity": ["n"]} if form.endswith("method") else {}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_function_is_cached_by_what_it_is_called_with(app, form):
    app.cache(FORMS[form], **options_of(form))
    calls = [
        ((1,), {}),
        ((), {"a": 1}),
        ((1, 2), {"c": 3}),
        ((1, 2, 3), {}),
        ((1,), {"d": 4, "e": 5}),
        ((1,), {"e": 5, "d": 4}),
    ]
    results = [app.call(FORMS[form], *args, **kwargs) for args, kwargs in calls]
    assert results[0] == results[1] == results[2] == [1, 2, (), 3, {}]
    assert results[3] == [1, 2, (3,), 3, {}]
    assert results[4] == results[5] == [1, 2, (), 3, {"d": 4, "e": 5}]
    assert len(app.module.runs) == 3
    assert app.decisions(FORMS[form]) == {"miss": 3, "hit": 3}


@pytest.mark.parametrize("form", FORMS)
def test_a_caller_changes_only_its_own_result_and_its_own_arguments(app, form):
    app.cache(FORMS[form], **options_of(form))
    given = ["x"]
    first = app.call(FORMS[form], given)
    first.append("mine")
    given.append("changed")
    assert app.call(FORMS[form], ["x"]) == [["x"], 2, (), 3, {}]
    assert len(app.module.runs) == 1


def test_what_is_one_object_in_a_result_is_one_object_in_its_copies(app):
    app.cache("echo_of")
    for _ in range(3):
        result = app.module.echo_of("twice")
        assert result[0] is result[1] is result[2]["again"][0]
        result[0].append("mine")
        cycle = app.module.echo_of("cycle")
        assert cycle[0] is cycle
    assert app.module.runs == ["twice", "cycle"]


def test_classes_of_a_classmethod_have_each_their_own_results(app):
    app.cache("Thing.by_class")
    app.module.Thing.by_class(1)
    app.module.Other.by_class(1)
    app.module.Other.by_class(1)
    assert app.decisions("Thing.by_class") == {"miss": 2, "hit": 1}


def test_an_identity_may_be_a_slot_and_is_kept_apart_by_type(app):
    app.cache("Slotted.method", identity=["n"])
    assert [app.module.Slotted(n).method() for n in (1, 1, 2, True)] == [1, 1, 2, True]
    assert app.module.runs == [1, 2, True]


def test_an_object_at_a_reused_address_is_not_taken_for_the_one_before(app):
    app.cache("Thing.method")
    for n in range(200):
        app.module.Thing(n).method(n % 2)
        gc.collect(0)
    assert len(app.module.runs) == 200
    app.cache("any_value")
    app.module.runs.clear()
    for n in range(200):
        app.module.any_value(object())
    assert len(app.module.runs) == 200


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(values, values)
def test_two_calls_share_a_result_exactly_when_their_arguments_are_the_same(app, a, b):
    if not app.module.runs:
        app.cache("any_value")
    app.attachments.by_name[f"{app.module.__name__}:any_value"].keep.copy().popitem()[1].clear()
    app.module.runs.clear()
    app.module.any_value(a)
    app.module.any_value(b)
    assert (len(app.module.runs) == 1) == (strict(a) == strict(b))


def test_arrays_are_told_apart_by_every_byte_and_given_out_as_copies(app):
    numpy = pytest.importorskip("numpy", reason="numpy is not there")
    app.cache("echo")
    a, b = numpy.zeros(100_000), numpy.zeros(100_000)
    b[-1] = 1e-300
    first = app.module.echo(a)
    assert (app.module.echo(a) == a).all()
    assert app.module.echo(b)[-1] == 1e-300
    first[0] = 7
    assert app.module.echo(numpy.zeros(100_000))[0] == 0
    assert app.decisions("echo") == {"miss": 2, "hit": 2}
    assert app.module.echo(numpy.array([1, 2], dtype="int8")).dtype == "int8"
    assert app.module.echo(numpy.array([1, 2], dtype=">i4")).dtype == ">i4"


@pytest.mark.parametrize(
    "what",
    [
        "generator",
        "iterator",
        "map",
        "count",
        "file",
        "bytes file",
        "socket",
        "lock",
        "rlock",
        "in a list",
        "in a dict",
        "memoryview",
    ],
)
@pytest.mark.parametrize("copy", ["auto", "never"])
def test_a_result_that_one_caller_uses_up_is_not_kept(app, what, copy):
    app.cache("made", copy=copy)
    results = [app.module.made(what) for _ in range(2)]
    assert results[0] is not results[1]
    assert app.module.runs == [what] * 2
    decisions = app.decisions("made")
    assert decisions.pop("miss") == 2
    [(reason, count)] = decisions.items()
    assert (reason.startswith("kept_out result of type"), count) == (True, 2)
    for made in app.module.alive:
        getattr(made, "close", lambda: None)()


def test_a_coroutine_that_a_plain_function_returns_is_not_kept(app):
    app.cache("returns_coroutine")
    for _ in range(2):
        assert asyncio.run(app.module.returns_coroutine(1)) == [1, 2, (), 3, {}]
    assert app.decisions("returns_coroutine")["miss"] == 2


def test_a_kept_exception_comes_as_a_copy_without_the_frames_of_the_first_call(app):
    app.cache("failing", exceptions=True)
    caught = []
    for _ in range(3):
        with pytest.raises(app.module.Detailed) as error:
            app.module.failing(7)
        caught.append(error.value)
    assert app.module.runs == [7]
    assert [(error.code, error.args) for error in caught] == [(7, (7,))] * 3
    assert len({id(error) for error in caught}) == 3
    assert type(caught[0].__cause__) is ZeroDivisionError
    assert (caught[1].__cause__, caught[2].__context__) == (None, None)
    assert len(traceback.extract_tb(caught[2].__traceback__)) == len(traceback.extract_tb(caught[1].__traceback__))


def test_an_exception_that_cannot_be_copied_is_not_kept(app):
    app.cache("failing", exceptions=True)
    for _ in range(2):
        with pytest.raises(app.module.Needy):
            app.module.failing("needy")
    assert app.module.runs == ["needy"] * 2
    assert app.decisions("failing")["kept_out exception of type Needy cannot be copied"] == 2


def explode(*_):
    raise RuntimeError("of the argument")


def wait_for_ever(*_):
    threading.Event().wait(3600)


class Meta(type):
    __hash__ = explode
    __eq__ = explode


HOSTILE = {
    "raises": type(
        "Raises", (), dict.fromkeys(("__repr__", "__eq__", "__hash__", "__str__", "__len__", "__iter__"), explode)
    ),
    "waits": type("Waits", (), dict.fromkeys(("__repr__", "__eq__", "__hash__", "__str__", "__len__"), wait_for_ever)),
    "attributes": type("Attributes", (), {"__getattribute__": explode}),
    "text": type("Text", (str,), {"__hash__": explode, "__eq__": explode}),
    "number": type("Number", (int,), {"__hash__": explode, "__eq__": explode}),
    "mapping": type("Mapping", (dict,), {"items": explode, "__iter__": explode}),
    "metaclass": Meta("OfMeta", (), {}),
    "text of metaclass": Meta("TextOfMeta", (str,), {}),
    "class dict": type("Named", (), {"__class__": property(explode)}),
}


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("wrapped", [False, True])
def test_hostile_arguments_leave_the_call_as_it_is(app, what, wrapped):
    app.cache("any_value")
    app.module.any_value("one")  # so that there is something to compare with
    app.module.any_value(1)
    app.module.runs.clear()
    value = HOSTILE[what]()
    for _ in range(2):
        assert app.module.any_value([value] if wrapped else value) == (1,)
    assert app.module.runs == [1, 1]
    assert sum(n for name, n in app.decisions("any_value").items() if name.startswith("bypass")) == 2


def test_a_metaclass_in_an_argument_never_runs_when_the_trampoline_looks(app):
    app.cache("any_value")
    app.module.any_value("one")
    faults = dict(guard.faults)
    for _ in range(2):
        assert app.module.any_value(Meta("Late", (), {})()) == (1,)
    assert guard.faults == faults


def test_giant_arguments_bypass(app):
    app.cache("any_value")
    giant = bytes(65 * 2**20)
    for value in (giant, [giant], bytearray(giant), giant.decode()):
        app.module.any_value(value)
    assert app.decisions("any_value") == {"bypass argument of more than 64 MiB": 4}


def test_a_result_whose_copy_fails_later_is_computed_again(app):
    app.cache("unfriendly")
    for _ in range(3):
        assert type(app.module.unfriendly(1)) is app.module.Unfriendly
    assert app.module.runs == [1, 1, 1]


@pytest.mark.parametrize("stacked", [False, True])
def test_warnings_under_a_cache_name_the_line_of_the_caller(app, stacked):
    app.cache("warned", *([{"cache": {}}] if stacked else []))
    app.cache("warned_later", *([{"cache": {}}] if stacked else []))
    for call in (lambda: app.module.call_warned(1), lambda: asyncio.run(outer(app.module.warned_later))):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            call()
        assert seen[0].filename in (app.module.__file__, __file__)


async def outer(function):
    return await function(1)


def test_every_decision_is_on_the_span_of_a_sampled_call(app):
    app.cache("echo")
    tracer = app.attachments.tracer
    assert isinstance(tracer, Tracer)
    told = []
    for value in ([1], [1], object()):
        tracer.collect()
        tracer.arm(1)
        app.module.echo(value)
        [span] = [span for span in tracer.collect() if span.function.endswith(":echo")]
        told.append(dict(span.attributes)["mystic.decision"])
    assert told == ["cache:miss", "cache:hit", "cache:bypass (argument of type builtins.object)"]


def test_results_of_two_closures_of_one_name_and_code_stay_apart(tmp_path):
    source = """
        def make(n):
            def times(x):
                return x * n
            return times
        class Pair:
            double = make(2)
    """
    with application(tmp_path, source) as (module, attachments):
        attachments.apply([hijack(f"{module.__name__}:*", {"cache": {"ttl": "1h"}})])
        assert [module.make(n)(5) for n in (2, 3, 2)] == [10, 15, 10]
