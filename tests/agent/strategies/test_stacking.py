"""Several strategies work in the order written, each counted, through changes under load, and through a fork."""

from __future__ import annotations

import asyncio
import threading
import traceback
import warnings

import pytest
from module_under_test import application, hijack

AT_ONCE = {"base": 0}
FLAKY = {"mock": {"sequence": [{"raise": "OSError", "message": "down"}, "up"]}}


@pytest.mark.parametrize("form", ["plain", "coroutine", "Thing.method", "Thing.by_class", "Thing.static"])
def test_the_first_is_outermost(app, form):
    app.apply(form, {"retry": AT_ONCE}, FLAKY)
    assert app.call(form, 1) == "up"
    assert app.decisions(form, "retry") == {"retried": 1, "recovered": 1}
    assert app.decisions(form, "mock") == {"exception": 1, "value": 1}
    app.apply(form, FLAKY, {"retry": AT_ONCE})
    with pytest.raises(OSError, match="down"):
        app.call(form, 1)
    assert app.call(form, 1) == "up"
    assert app.runs == []


def test_a_stack_of_many_counts_every_decision_of_a_call(app):
    app.apply(
        "coroutine",
        {"rate_limit": {"rate": 1e6}},
        {"timeout": {"after": "1h"}},
        {"circuit_breaker": {}},
        {"retry": {**AT_ONCE, "exceptions": "ConnectionError"}},
        {"ab": {"to": app.name("other_coroutine"), "share": 0}},
        {"rollout": {"to": app.name("other_coroutine"), "key": "a", "share": 0}},
        {"fault": {"share": 0, "latency": "1m"}},
        {"log": {"level": "debug"}},
    )
    assert [app.call("coroutine", n)[0] for n in range(5)] == list(range(5))
    with pytest.raises(app.module.Failure) as caught:
        app.call("coroutine", "fail")
    assert caught.value is app.module.failure
    assert app.decisions("coroutine") == {
        "allowed": 6,
        "finished": 6,
        "closed": 6,
        "not_retried": 1,
        "passed": 11,
        "a": 6,
        "old": 6,
        "logged": 6,
    }


def test_a_cache_in_front_serves_what_a_mock_behind_it_gave(app):
    app.apply("plain", {"cache": {"ttl": "1h"}}, {"mock": {"sequence": [1, 2, 3]}})
    assert [app.call("plain", "x") for _ in range(3)] == [1, 1, 1]
    assert app.decisions("plain") == {"miss": 1, "hit": 2, "value": 1}


def test_a_sampled_span_shows_all_decisions_in_their_order(app):
    app.apply("plain", {"retry": AT_ONCE}, FLAKY)
    app.tracer.collect()
    app.tracer.arm(1)
    app.call("plain", 1)
    [span] = [span for span in app.tracer.collect() if span.function == app.name("plain")]
    assert [value for key, value in span.attributes if key == "mystic.decision"] == [
        "mock:exception, retry:retried, mock:value, retry:recovered"
    ]


def test_a_decision_inside_a_call_is_not_shown_on_the_span_of_its_caller(tmp_path):
    source = "def inner():\n    yield 1\ndef outer():\n    return list(inner())\n"
    with application(tmp_path, source, traces=float("inf")) as (module, attachments):
        attachments.apply([hijack(f"{module.__name__}:inner", {"mock": {"yields": [2]}})])
        attachments.tracer.arm(1)
        assert module.outer() == [2]
        spans = {span.function.partition(":")[2]: dict(span.attributes) for span in attachments.tracer.collect()}
    assert spans["outer"] == {}


@pytest.mark.parametrize("stack", [[], [{"retry": {}}], [{"rate_limit": {"rate": 1e6}}, {"circuit_breaker": {}}]])
def test_a_warning_names_the_caller_and_not_what_stands_between(tmp_path, stack):
    source = "import warnings\ndef old():\n    warnings.warn('use new', DeprecationWarning, stacklevel=2)\n"
    with application(tmp_path, source) as (module, attachments):
        attachments.apply([hijack(f"{module.__name__}:old", *stack)])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            module.old()
    assert [one.filename for one in caught] == [__file__]


def test_a_traceback_shows_the_strategies_it_went_through(app):
    app.apply("plain", {"retry": {"exclude": [f"{app.module.__name__}.Failure"]}})
    with pytest.raises(app.module.Failure) as caught:
        app.call("plain", "fail")
    shown = "".join(traceback.format_exception(caught.value))
    assert "retry.py" in shown
    assert "result = following(*values)" in shown


STACKS = [
    [{"circuit_breaker": {"minimum": 1000}}, {"retry": AT_ONCE}],
    [{"rate_limit": {"rate": 1e6}}, {"mock": {"value": "mocked"}}],
    [{"fault": {"share": 0.5, "exception": "ConnectionError"}}],
    [{"ab": {"to": "{0}:other_plain", "share": 0.5}}, {"log": {"level": "debug"}}],
    [],
]


def test_changes_under_load_tear_nothing(app):
    over, wrong, done = threading.Event(), [], []

    def work():
        n = 0
        while not over.is_set() or n < 20:
            n += 1
            try:
                result = app.module.plain(n)
            except ConnectionError:
                continue
            if result not in ("mocked", "other", (n, 2, (), 3, {})):
                wrong.append(result)
        done.append(n)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        for n in range(300):
            named = [
                {name: {k: v.format(app.module.__name__) if k == "to" else v for k, v in options.items()}}
                for one in STACKS[n % len(STACKS)]
                for name, options in one.items()
            ]
            report = app.apply("plain", *named)
            assert (report.state, report.reason) == ("attached", "")
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert (wrong[:3], len(done)) == ([], 8)
    assert app.calls("plain") == sum(done)


@pytest.mark.parametrize("strategy", [{"circuit_breaker": {}}, {"rate_limit": {}}, {"retry": {}}])
def test_a_forked_child_waits_for_no_lock_of_its_parent(app, strategy):
    app.apply("plain", strategy)
    [state] = app.attachments.by_name[app.name("plain")].keep.values()
    held, over = threading.Event(), threading.Event()

    def hold():
        with state._lock:
            held.set()
            over.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(20)
    try:
        app.attachments.reset()  # what a child does first
        assert app.call("plain", 1)[0] == 1
    finally:
        over.set()
        thread.join(20)


def test_tasks_at_once_get_exact_counts(app):
    app.apply("coroutine", {"rate_limit": {"rate": 1000, "per": "1h", "burst": 30}}, {"circuit_breaker": {}})

    async def main():
        return await asyncio.gather(*(app.module.coroutine(n) for n in range(100)), return_exceptions=True)

    results = asyncio.run(main())
    assert sum(isinstance(one, RuntimeError) for one in results) == 70
    assert app.decisions("coroutine") == {"allowed": 30, "limited": 70, "closed": 30}


def test_a_hijack_that_is_refused_takes_no_other_with_it(app):
    good = hijack(app.name("plain"), {"mock": {"value": "mocked"}}, identity="good")
    bad = hijack(app.name("*"), {"timeout": {"after": "1s"}}, identity="bad")
    for hijacks in ([good, bad], [bad, good]):
        app.attachments.apply([])
        app.attachments.apply(hijacks)
        assert app.call("plain", 1) == "mocked"
        reports = app.attachments.reports()
        plain = reports[app.name("plain")]
        assert (plain.state, plain.hijacks, plain.strategies) == ("attached", ("good",), ("observe", "mock"))
        assert (reports["hijack:bad"].state, reports["hijack:bad"].hijacks) == ("failed", ("bad",))
        assert reports["hijack:bad"].reason.startswith(f"{app.name('plain')}: timeout cannot end")
        assert reports[app.name("coroutine")].hijacks == ("bad",)
        assert reports[app.name("Thing.method")].state == "failed"
    app.attachments.apply([bad])
    assert "hijack:bad" not in app.attachments.reports()
    assert app.attachments.reports()[app.name("plain")].state == "failed"
    assert app.call("plain", 1)[0] == 1


@pytest.mark.parametrize("beside", [[], [{"log": {}}]])
def test_a_released_hijack_leaves_nothing_that_the_next_one_begins_with(app, beside):
    others = [hijack(app.name("plain"), one, identity="other") for one in beside]
    keep = app.attachments.by_name[app.name("plain")].keep
    for identity in ("one", "two"):
        cached = hijack(app.name("plain"), {"cache": {"ttl": "1h"}}, identity=identity)
        app.attachments.apply([*others, cached])
        for _ in range(3):
            app.call("plain", 1)
        app.attachments.apply(others)
        assert keep == {}
    assert len(app.runs) == 2
    assert app.decisions("plain", "cache") == {"miss": 2, "hit": 4}


def test_a_strategy_that_a_hijack_no_longer_has_leaves_nothing(app):
    app.apply("plain", {"cache": {"ttl": "1h"}}, {"retry": {}})
    app.call("plain", 1)
    app.apply("plain", {"retry": {}})
    keep = app.attachments.by_name[app.name("plain")].keep
    assert [key[0] for key in keep] == ["retry"]


def test_two_hijacks_with_the_same_strategy_have_a_state_each(app):
    limit = {"rate_limit": {"rate": 4, "per": "1h"}}
    app.attachments.apply([hijack(app.name("plain"), limit, identity=name) for name in ("one", "two")])
    for _ in range(4):
        app.call("plain", 1)
    with pytest.raises(RuntimeError):
        app.call("plain", 1)
