"""A class of the user's own decides over calls, and cannot break the host: what fails in it is taken off."""

from __future__ import annotations

import importlib
import threading

import pytest
from module_under_test import hijack, offer
from mystic_agent.attachments import Attachments
from mystic_agent.guard import guard
from mystic_agent.observe.trace import Tracer
from mystic_agent.scope import Scope

SOURCE = """
    made = []

    class Doubling:
        def __init__(self, function, options):
            self.by = options["by"]
            made.append(function)

        def call(self, call):
            return call.proceed(a=call.arguments["a"] * self.by)

    class Refusing(Doubling):
        def call(self, call):
            raise call.raises(PermissionError("closed"))

    class Broken(Doubling):
        def call(self, call):
            raise LookupError("password=hunter2 is wrong")

    class BrokenAfterwards(Doubling):
        def call(self, call):
            call.proceed()
            raise LookupError("afterwards")

    class Replacing(Doubling):
        def call(self, call):
            try:
                return call.proceed()
            except Exception as error:
                raise LookupError("instead") from error

    class Rescuing(Doubling):
        def call(self, call):
            try:
                return call.proceed()
            except Exception:
                return "rescued"

    class Misnaming(Doubling):
        def call(self, call):
            return call.proceed(nothing=1)

    class Ending(Doubling):
        def call(self, call):
            raise KeyboardInterrupt

    class Later:
        def __init__(self, function, options): ...
        async def call_async(self, call):
            raise LookupError

    no_class = 5
"""


@pytest.fixture
def own(app, tmp_path):
    """Offer SOURCE, and put one of its classes on the plain function."""
    name = f"{app.module.__name__}_more"
    found = [line.split()[1].partition("(")[0].strip(":") for line in SOURCE.splitlines() if "class " in line]
    offer(tmp_path, name, SOURCE, **{one: one for one in (*found, "no_class", "nowhere")})

    def put(class_name, qualname="plain", **options):
        return app.apply(qualname, {"custom": {"name": f"{name}-{class_name}", "options": {"by": 2, **options}}})

    put.module = f"{name}_custom"
    yield put
    importlib.sys.modules.pop(put.module, None)
    for fault in [fault for fault in guard.faults if fault.where.startswith("custom")]:
        del guard.faults[fault]


def settle(app, qualname="plain"):
    app.attachments.take_off()
    return app.attachments.reports()[app.name(qualname)]


def test_it_is_told_the_function_and_its_options_and_may_change_arguments(app, own):
    own("Doubling", by=3)
    assert app.call("plain", 5)[0] == 15
    assert app.call("plain", 6)[0] == 18
    [function] = importlib.import_module(own.module).made
    assert function == (app.name("plain"), "function", ("a", "b", "c", "rest", "more"))


def test_what_it_means_to_raise_reaches_the_caller(app, own):
    own("Refusing")
    with pytest.raises(PermissionError, match="closed"):
        app.call("plain", 1)
    assert (app.runs, app.decisions("plain")) == ([], {"raised": 1})
    assert settle(app).state == "attached"


@pytest.mark.parametrize("name", ["Broken", "Misnaming"])
def test_what_it_does_not_mean_to_raise_runs_the_function_once_and_takes_the_hijack_off(app, own, name):
    own(name)
    assert app.call("plain", 1)[0] == 1
    assert app.call("plain", 2)[0] == 2
    assert app.runs == [1, 2]
    report = settle(app)
    assert (report.state, report.hijacks) == ("failed", ("h1",))
    assert "custom was taken off: it raised" in report.reason
    assert "hunter2" not in report.reason
    assert app.call("plain", 3)[0] == 3
    assert app.decisions("plain") == {"passed not ready, or taken off": 1}


def test_a_failure_after_the_function_has_run_gives_the_caller_what_it_returned(app, own):
    own("BrokenAfterwards")
    assert app.call("plain", 1)[0] == 1
    assert app.runs == [1]
    assert settle(app).state == "failed"


def test_a_failure_in_place_of_the_functions_own_gives_the_caller_the_functions_own(app, own):
    own("Replacing")
    with pytest.raises(app.module.Failure) as caught:
        app.call("plain", "fail")
    assert caught.value is app.module.failure
    assert caught.value.__context__ is None
    assert app.runs == ["fail"]
    assert settle(app).state == "failed"


def test_a_coroutine_that_fails_runs_the_function_once(app, own):
    own("Later", "coroutine")
    assert app.call("coroutine", 1)[0] == 1
    assert app.runs == [1]
    assert settle(app, "coroutine").state == "failed"


def test_it_may_answer_for_a_failure(app, own):
    own("Rescuing")
    assert app.call("plain", "fail") == "rescued"


def test_what_is_no_failure_passes_through(app, own):
    own("Ending")
    with pytest.raises(KeyboardInterrupt):
        app.call("plain", 1)
    assert settle(app).state == "attached"


def test_one_that_cannot_be_made_is_named_with_the_reason(app, own):
    app.apply("plain", {"custom": {"name": f"{own.module.removesuffix('_custom')}-Doubling"}})
    assert app.call("plain", 1)[0] == 1
    report = settle(app)
    assert (report.state, "KeyError: by" in report.reason) == ("failed", True)


@pytest.mark.parametrize(("name", "reason"), [("no_class", "is no class"), ("nowhere", "is not there")])
def test_one_that_is_no_class_is_named_at_its_first_call(app, own, name, reason):
    own(name)
    assert app.call("plain", 1)[0] == 1
    assert reason in settle(app).reason


@pytest.mark.parametrize(("name", "qualname"), [("Later", "plain"), ("Doubling", "coroutine")])
def test_a_class_without_the_method_for_this_kind_is_refused(app, own, name, qualname):
    importlib.import_module(own.module)
    report = own(name, qualname)
    assert (report.state, "with a method call" in report.reason) == ("failed", True)


@pytest.mark.parametrize("form", ["generator", "async_generator"])
def test_generators_are_refused_for_their_caller_runs_them(app, own, form):
    assert "their caller runs them" in own("Doubling", form).reason


def test_a_name_that_nobody_offers_is_refused(app):
    report = app.apply("plain", {"custom": {"name": "nobodys"}})
    assert (report.state, "no installed package offers the strategy nobodys" in report.reason) == ("failed", True)


def test_code_outside_of_what_hijacks_may_name_is_refused_and_never_imported(app, own, tmp_path):
    name = own.module.removesuffix("_custom")
    elsewhere = Attachments(Scope(str(tmp_path), (), ()), Tracer(0), "test", "app", set(), ("other.*",))
    elsewhere.apply([hijack(app.name("plain"), {"custom": {"name": f"{name}-Doubling"}})])
    report = elsewhere.reports()[app.name("plain")]
    elsewhere.release_all()
    assert (report.state, "MYSTIC_ALLOW" in report.reason) == ("failed", True)
    assert own.module not in importlib.sys.modules


def test_a_changed_hijack_is_tried_anew(app, own):
    own("Broken")
    app.call("plain", 1)
    assert settle(app).state == "failed"
    assert own("Broken").state == "failed"
    assert own("Doubling").state == "attached"
    assert app.call("plain", 2)[0] == 4


def test_another_hijack_of_the_function_stays_when_one_is_taken_off(app, own):
    name = own.module.removesuffix("_custom")
    broken = hijack(app.name("plain"), {"custom": {"name": f"{name}-Broken"}}, identity="bad")
    limited = hijack(app.name("plain"), {"rate_limit": {"rate": 1e6}}, identity="good")
    app.attachments.apply([broken, limited])
    app.call("plain", 1)
    report = settle(app)
    assert (report.state, report.hijacks) == ("attached", ("good",))
    failed = app.attachments.reports()["hijack:bad"]
    assert (failed.state, "custom was taken off" in failed.reason) == ("failed", True)


def test_calls_that_come_while_it_is_made_go_to_the_function(app, own, tmp_path):
    source = """
        import threading
        entered, go_on = threading.Event(), threading.Event()

        class Slow:
            def __init__(self, function, options):
                entered.set()
                assert go_on.wait(20)

            def call(self, call):
                return "slow"
    """
    name = f"{app.module.__name__}_slow"
    offer(tmp_path, name, source, Slow="Slow")
    slow = importlib.import_module(f"{name}_custom")
    app.apply("plain", {"custom": {"name": f"{name}-Slow"}})
    given = []
    first = threading.Thread(target=lambda: given.append(app.call("plain", 1)))
    first.start()
    assert slow.entered.wait(20)
    assert app.call("plain", 2)[0] == 2
    slow.go_on.set()
    first.join(20)
    assert (given, app.call("plain", 3), app.runs) == (["slow"], "slow", [2])
    del importlib.sys.modules[f"{name}_custom"]
