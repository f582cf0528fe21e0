"""What every strategy owes every form of function: one suite, and a table with a line for each strategy."""

from __future__ import annotations

import contextlib
import inspect
import pickle
import threading
from typing import NamedTuple

import pytest
from module_under_test import FORMS
from mystic_agent.contract.strategy import STRATEGIES, parse_strategy
from mystic_agent.guard import guard
from mystic_agent.strategies import NAMES
from mystic_agent.strategies.decision import Decision

THREADS, CALLS = 8, 50


class Line(NamedTuple):
    """One strategy.

    Attributes:
        passing: options with which calls go through to the function, and the decision that is then counted.
        acting: options with which they do not.
        gives: what an acting call returns, or the type of what it raises.
        decision: what is counted then.
        warm: calls before the first that goes through.
        only: the form it is limited to.
        begins: its first call makes it ready, and is not counted here.
        after: a strategy under which the function is called before an acting one is put on it.
    """

    passing: dict | None = None
    passed: str = ""
    acting: dict | None = None
    gives: object = None
    decision: str = ""
    warm: int = 0
    only: str = ""
    begins: bool = False
    after: dict | None = None


LINES = {
    "mock": Line(
        passing={"sequence": [0], "then": "original"},
        passed="passed",
        warm=1,
        acting={"value": {"text": ["stub"]}},
        gives={"text": ["stub"]},
        decision="value",
    ),
    "block": Line(acting={}, gives=PermissionError, decision="raised"),
    "fault": Line(
        passing={"share": 0, "exception": "ConnectionError", "latency": "1m"},
        passed="passed",
        acting={"exception": "ConnectionError"},
        gives=ConnectionError,
        decision="failed",
    ),
    "log": Line(passing={"result": True}, passed="logged"),
    "snapshot": Line(passing={"when": "duration >= 0", "count": 10_000, "rate": 1000}, passed="taken"),
    "retry": Line(passing={"attempts": 2, "exclude": ["{app}.Failure"]}, passed="passed"),
    "timeout": Line(passing={"after": "1h"}, passed="finished", only="coroutine"),
    "rate_limit": Line(passing={"rate": 1e6}, passed="allowed"),
    "circuit_breaker": Line(passing={}, passed="closed"),
    "custom": Line(
        passing={"name": "{app}-through"},
        passed="proceeded",
        acting={"name": "{app}-instead"},
        gives="other",
        decision="answered",
        begins=True,
    ),
    "redirect": Line(acting={"to": ""}, gives="other", decision="redirected"),
    "ab": Line(passing={"to": "", "share": 0}, passed="a", acting={"to": "", "share": 1}, gives="other", decision="b"),
    "record": Line(passing={"name": "all", "share": 0}, passed="passed"),
    "replay": Line(
        passing={"recording": "nothing"},
        passed="missing",
        acting={"recording": "all"},
        gives=(1, 2, (), 3, {}),
        decision="replayed",
        after={"record": {"name": "all"}},
    ),
    "rollout": Line(
        passing={"to": "", "share": 0, "key": "a"},
        passed="old",
        acting={"to": "", "share": 1, "key": "a"},
        gives="other",
        decision="new",
    ),
    "shadow": Line(
        passing={"to": "", "sample": 0},
        passed="old",
        acting={"to": "", "begin": "full"},
        gives="other",
        decision="full",
    ),
}
EITHER = [(n, f) for n, line in LINES.items() for f in FORMS if line.only in ("", f)]
PASSING = [(n, f) for n, f in EITHER if LINES[n].passing is not None]
ACTING = [(n, f) for n, f in EITHER if LINES[n].acting is not None]


def options(line, app, form, which):
    given = dict(next(one for one in (getattr(line, which), line.acting, line.passing) if one is not None))
    if "to" in given:
        *holder, last = FORMS[form].split(".")
        given["to"] = app.name(".".join([*holder, f"other_{last}"]))
    if "recording" in given:
        given |= left_out(app, FORMS[form])
    if "name" in given:
        given["name"] = given["name"].format(app=app.module.__name__)
    if "exclude" in given:
        given["exclude"] = [one.format(app=app.module.__name__) for one in given["exclude"]]
    return given


def left_out(app, qualname):
    """Return options by which the object of a method is no part of a key."""
    first = app.function(qualname).__code__.co_varnames[0]
    return {"ignore": [first]} if first in ("self", "cls") else {}


def put(app, name, form, which="passing"):
    """Put one strategy on one function, so that its calls pass or not; return the line and the qualname."""
    line, qualname = LINES[name], FORMS[form]
    if line.after and which == "acting":
        app.apply(qualname, {key: {**one, **left_out(app, qualname)} for key, one in line.after.items()})
        app.call(qualname, 1)
        app.attachments.by_name[app.name(qualname)].meter.reset()
        app.runs.clear()
    report = app.apply(qualname, {name: options(line, app, form, which)})
    assert (report.state, report.reason) == ("attached", "")
    if line.begins:
        app.call(qualname, 0)
        app.attachments.by_name[app.name(qualname)].meter.reset()
        app.runs.clear()
    if which == "passing":
        for _ in range(line.warm):
            app.call(qualname, 0)
        app.runs.clear()
    return line, qualname


def test_every_strategy_has_its_line_and_its_file():
    assert {*NAMES, "observe"} == set(STRATEGIES)
    assert set(LINES) == set(STRATEGIES) - {"observe", "analyze", "cache"}


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_read_back_from_the_wire_is_the_same(name):
    line = LINES.get(name, Line({}))
    for given in (line.passing, line.acting):
        if given is not None:
            named = {key: one for key, one in {"to": "a:b", "exclude": "a.B", "name": "n"}.items() if key in given}
            spec = parse_strategy({name: {**given, **named}}, "s")
            assert parse_strategy(spec.to_json(), "s") == spec


@pytest.mark.parametrize(("name", "form"), EITHER)
def test_the_function_looks_the_same_while_hijacked_and_is_the_same_after(app, name, form):
    function = app.function(FORMS[form])
    app.release()
    looks = [inspect.signature, inspect.iscoroutinefunction, lambda f: (f.__name__, f.__doc__, f.__defaults__)]
    before, observed = [look(function) for look in looks], function.__code__
    _, qualname = put(app, name, form)
    assert function.__code__ is not observed
    assert [look(function) for look in looks] == before
    assert pickle.loads(pickle.dumps(app.module.plain)) is app.module.plain
    app.attachments.release_all()
    assert not function.__code__.co_filename.startswith("<mystic")
    assert app.call(qualname, 1, 5, 6, c=7, d=8) == (1, 5, (6,), 7, {"d": 8})


@pytest.mark.parametrize(("name", "form"), PASSING)
def test_a_call_that_passes_runs_once_and_gives_its_own_result(app, name, form):
    line, qualname = put(app, name, form)
    assert app.call(qualname, 1, 5, 6, c=7, d=8) == (1, 5, (6,), 7, {"d": 8})
    assert app.call(qualname, a=2) == (2, 2, (), 3, {})
    assert app.runs == [1, 2]
    assert app.decisions(qualname)[line.passed] == 2
    assert app.calls(qualname) == 2 + line.warm


@pytest.mark.parametrize(("name", "form"), PASSING)
def test_an_exception_passes_as_the_same_object_with_nothing_added(app, name, form):
    _, qualname = put(app, name, form)
    with pytest.raises(app.module.Failure) as caught:
        app.call(qualname, "fail")
    assert caught.value is app.module.failure
    assert (caught.value.__cause__, caught.value.__context__, caught.value.args) == (None, None, ("as it was",))
    assert app.runs == ["fail"]


@pytest.mark.parametrize(("name", "form"), ACTING)
def test_a_call_that_does_not_pass_never_reaches_the_function(app, name, form):
    line, qualname = put(app, name, form, "acting")
    for _ in range(3):
        if isinstance(line.gives, type) and issubclass(line.gives, Exception):
            with pytest.raises(line.gives):
                app.call(qualname, 1)
        else:
            assert app.call(qualname, 1) == line.gives
    assert app.runs == []
    assert app.decisions(qualname) == {line.decision: 3}
    assert app.calls(qualname) == 3


@pytest.mark.parametrize(("name", "form"), EITHER)
def test_when_the_strategy_itself_fails_the_function_runs_exactly_once(app, name, form, monkeypatch):
    _, qualname = put(app, name, form)

    def broken(self):
        raise ZeroDivisionError("of ours")

    faults = len(guard.faults)
    monkeypatch.setattr(Decision, "__call__", broken)
    try:
        assert app.call(qualname, 1) == (1, 2, (), 3, {})
        assert app.runs == [1]
        assert [fault.error for fault in list(guard.faults)[faults:]] in ([], ["ZeroDivisionError"])
        assert any(fault.error == "ZeroDivisionError" for fault in guard.faults)
    finally:
        for fault in list(guard.faults):
            if fault.error == "ZeroDivisionError":
                del guard.faults[fault]


@pytest.mark.parametrize(
    ("name", "which"),
    [(n, w) for n, line in LINES.items() for w in ("passing", "acting") if getattr(line, w) is not None],
)
def test_threads_get_exact_counts(app, name, which):
    line = LINES[name]
    form = line.only or "plain"
    line, qualname = put(app, name, form, which)
    start, ended = threading.Barrier(THREADS), []

    def work():
        start.wait(20)
        for _ in range(CALLS):
            try:
                ended.append(app.call(qualname, 1))
            except Exception as error:
                ended.append(type(error))

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    total = THREADS * CALLS
    expected = (1, 2, (), 3, {}) if which == "passing" else line.gives
    assert ended == [expected] * total
    assert len(app.runs) == (total if which == "passing" else 0)
    assert app.decisions(qualname)[line.passed if which == "passing" else line.decision] == total


@pytest.mark.parametrize(("name", "form"), ACTING)
def test_a_sampled_call_shows_the_decision_on_its_span(app, name, form):
    line, qualname = put(app, name, form, "acting")
    app.tracer.collect()
    app.tracer.arm(1)
    with contextlib.suppress(Exception):
        app.call(qualname, 1)
    [span] = [span for span in app.tracer.collect() if span.function == app.name(qualname)]
    assert dict(span.attributes)["mystic.decision"] == f"{name}:{line.decision}"
