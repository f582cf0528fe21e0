"""Analyzing notes which calls were alike and what they gave, changes nothing, and stays within its share."""

from __future__ import annotations

import json
import re

import pytest
from module_under_test import FORMS, application
from mystic_agent.cache.digest import digests
from mystic_agent.contract import analysis
from mystic_agent.contract.analysis import FAILED, MOST_ACCESSES, MUTATED, RESULT, WHOLE, unpack
from mystic_agent.rota import LEAST_CALLS, SEATS, TURN_SECONDS, Rota
from mystic_agent.strategies.sampler import PAUSE_STRETCHES, Sampler


class Told:
    """What one event of an analysis says."""

    def __init__(self, event):
        attributes = dict(event.attributes)
        self.name = event.name
        self.function = attributes["mystic.function"]
        self.body = event.body
        self.accesses = unpack(event.body) if event.name == analysis.ANALYSIS_EVENT else []
        self.calls = attributes.get(analysis.CALLS)
        self.total = attributes.get(analysis.TOTAL)
        self.session = attributes.get(analysis.SESSION)
        self.sequence = attributes.get(analysis.SEQUENCE)
        self.threshold = int(attributes.get(analysis.THRESHOLD, "0"), 16)
        self.begin, self.end = attributes.get(analysis.BEGIN), attributes.get(analysis.END)
        self.identity = attributes.get(analysis.IDENTITY)
        self.kinds = json.loads(attributes.get(analysis.KINDS, "{}"))
        self.own = self.kinds.pop("self", None)


def told(app, automatic=False):
    """Return what is told now of the calls so far."""
    Rota(app.attachments, 0.03, automatic).tick()
    return [one for one in map(Told, app.attachments.events.collect()) if one.name == analysis.ANALYSIS_EVENT]


def analyzed(app, qualname, *calls, share=1.0):
    """Analyze some calls, each a tuple of arguments; return what is told of them."""
    app.apply(qualname, {"analyze": {"share": share}})
    for one in calls:
        app.call(qualname, *one)
    [found] = told(app)
    return found


@pytest.mark.parametrize("form", FORMS)
def test_calls_go_through_as_they_are_and_nothing_is_decided(app, form):
    report = app.apply(FORMS[form], "analyze")
    assert (report.state, report.reason) == ("attached", "")
    assert app.call(FORMS[form], 1, 5, 6, c=7, d=8) == (1, 5, (6,), 7, {"d": 8})
    with pytest.raises(app.module.Failure) as caught:
        app.call(FORMS[form], "fail")
    assert caught.value is app.module.failure
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert app.runs == [1, "fail"]
    assert app.decisions(FORMS[form]) == {}


@pytest.mark.parametrize("form", FORMS)
def test_every_call_is_counted_and_alike_ones_have_the_same_key(app, form):
    found = analyzed(app, FORMS[form], (1,), (2,), (1,), (1, 2), (1.0,), (True,), ("1",), (1, 2, 3), (1, 2, 3))
    keys = [one.key for one in found.accesses]
    assert (found.identity, found.own) == ("", [] if form == "method" else None)  # a method that does not use self
    assert keys[0] == keys[2] == keys[3]  # a default given is a default left out
    assert keys[7] == keys[8]
    assert len(set(keys)) == 6
    assert found.calls == 9
    assert all(one.flags == RESULT for one in found.accesses)
    assert found.accesses[0].result == found.accesses[2].result


OBJECTS = """
    runs = []
    class Shop:
        def __init__(self, rate, names=()): self.rate, self.names, self.lock = rate, list(names), object()
        def price(self, n): runs.append(n); return n * self.factor() + len(self.names)
        def factor(self): return self.rate * 2
        def told(self, n): return repr(self)[:0] + str(n)
    class Dear(Shop): pass
    class Odd(Shop):
        def factor(self): return id(self)
"""


def told_of(app, qualname, *made):
    app.apply(qualname, {"analyze": {"share": 1}})
    for one in made:
        getattr(one, qualname.partition(".")[2])(1)
    [found] = told(app)
    return found


def test_a_method_of_which_the_code_does_not_tell_repeats_itself_on_one_object_alone(app_of):
    app = app_of(OBJECTS)
    shop = app.module.Shop(1)
    found = told_of(app, "Shop.told", shop, shop, app.module.Shop(1))
    assert len({one.key for one in found.accesses}) == 2
    assert (found.identity, found.own) == (f"{app.module.__name__}.Shop", None)


def test_objects_are_alike_to_a_method_when_all_is_alike_that_it_reads_of_them(app_of):
    app = app_of(OBJECTS)
    shop, dear, odd = app.module.Shop, app.module.Dear, app.module.Odd
    made = [shop(1), shop(1), shop(2), shop(1, ["tea"]), dear(1), dear(1)]
    found = told_of(app, "Shop.price", *made)
    keys = [one.key for one in found.accesses]
    assert keys[0] == keys[1]
    assert keys[4] == keys[5]
    assert len(set(keys)) == 4
    assert (found.identity, found.own) == ("", ["names", "rate"])
    made[0].rate = 2  # is another key from now on
    made[1].factor = lambda: 7  # a method of its own
    other = [odd(1), odd(1), made[0], made[1]]
    found = told_of(app, "Shop.price", *other)
    assert found.identity == f"{app.module.__name__}.Odd"
    assert [one.key for one in found.accesses][2] == keys[2]
    assert len({one.key for one in found.accesses}) == 4


def test_a_cache_that_is_told_what_was_found_shares_what_was_predicted(app_of):
    app = app_of(OBJECTS)
    made = [app.module.Shop(rate) for rate in (1, 2, 1, 1, 2)]
    found = told_of(app, "Shop.price", *made)
    keys = {one.key for one in found.accesses}
    app.module.runs.clear()
    app.apply("Shop.price", {"cache": {"ttl": "1h", "identity": found.own}})
    assert [one.price(1) for one in made] == [2, 4, 2, 2, 4]
    assert len(app.module.runs) == len(keys) == 2


def test_failures_and_times_are_noted(app):
    app.apply("plain", {"analyze": {"share": 1}})
    app.call("plain", 1)
    with pytest.raises(app.module.Failure):
        app.call("plain", "fail")
    [found] = told(app)
    assert [one.flags for one in found.accesses] == [RESULT, FAILED]
    assert 0 < sum(one.seconds for one in found.accesses) <= found.total / 1e9 * 1.001
    assert found.begin < found.end


SOURCE = """
    import socket, threading
    class Plain: ...
    def mutates(items):
        items.append(1)
        return 1
    def any(x): return x
    def gives(what):
        known = {"generator": (i for i in ()), "object": Plain(), "lock": threading.Lock(), "map": map(str, [])}
        return known[what] if what in known else ["page", known["map"]]
    def generator(): yield 1
    def slow(n): return sum(range(200_000)) + n
    def secret(password): return "card 4111111111111111"
"""


@pytest.fixture
def other(tmp_path, app):
    with application(tmp_path, SOURCE) as (module, attachments):
        yield type(app)(module, attachments)


def test_arguments_that_were_changed_are_noted(other):
    assert [one.flags for one in analyzed(other, "mutates", ([],), ([2],)).accesses] == [RESULT | MUTATED] * 2
    assert [one.flags for one in analyzed(other, "any", ([],), ({},)).accesses] == [RESULT] * 2


def test_what_has_no_key_is_counted_with_its_reason(other):
    found = analyzed(other, "any", (other.module.Plain(),), (object(),), (1,))
    assert (found.calls, len(found.accesses)) == (3, 1)
    assert found.kinds["unkeyable"] == {
        f"argument of type {other.module.__name__}.Plain": 1,
        "argument of type builtins.object": 1,
    }


def test_results_that_cannot_be_compared_are_counted_by_type(other):
    found = analyzed(other, "gives", *[(what,) for what in ("generator", "object", "lock", "map", "page")])
    assert [one.flags for one in found.accesses] == [0] * 5
    assert found.kinds["results"] == {
        "single use: builtins.generator": 1,
        f"{other.module.__name__}.Plain": 1,
        "single use: _thread.lock": 1,
        "single use: builtins.map": 1,
        "single use: builtins.list": 1,
    }


def test_a_generator_is_refused_with_the_reason(other):
    report = other.apply("generator", "analyze")
    assert "used up once" in report.reason


def test_no_value_leaves_the_process(other):
    other.apply("secret", {"analyze": {"share": 1}})
    other.call("secret", "hunter2-canary")
    Rota(other.attachments, 0.03, False).tick()
    text = repr(other.attachments.events.collect())
    assert not re.search("hunter2|canary|4111111111", text)


def test_digests_agree_within_a_service_and_cannot_be_tried_out_by_others():
    values = ("a", 1, None)
    assert digests("shop", "key")(values) == digests("shop", "key")(values)
    assert len({digests(*who)(values) for who in (("shop", "key"), ("shop", "other"), ("till", "key"), ("shop",))}) == 4


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((1,), (1.0,)),
        ((1,), (True,)),
        ((0.0,), (-0.0,)),
        (("1",), (1,)),
        (("a",), (b"a",)),
        (([1],), ((1,),)),
        (("a", "b"), ("a', 'b",)),
    ],
)
def test_digests_tell_types_apart(one, other):
    digest = digests("shop")
    assert digest(one) != digest(other)


@pytest.mark.parametrize("value", [2**70_000, "a" * 5000, "\ud800", {"b": 1, "a": {2, 3}}, int, len], ids=range(6))
def test_anything_that_has_a_key_has_a_digest(value):
    digest = digests("shop")
    assert digest((value,)) == digest((value,))


# -- within its share ----------------------------------------------------------------------------------------------


class Clock:
    def __init__(self, step=0):
        self.now, self.step = 0, step

    def __call__(self):
        self.now += self.step
        return self.now


def sampler(share=1.0, step=0):
    clock = Clock(step)
    return Sampler(digests("shop"), share, 150, clock=clock, wall=lambda: 10**18 + clock.now), clock


class Kept:
    """Events that are kept as told."""

    def __init__(self):
        self.told = []

    def put(self, name, body, severity, **attributes):
        self.told.append((unpack(body), attributes))


def run(one, key, clock):
    begun = one.look((key,))
    one.ended(begun, clock.now, clock.now + 10, key, False)


def test_looking_too_long_ends_looking_until_it_has_rested():
    one, clock = sampler(share=0.0001, step=1000)
    for n in range(2000):
        if not one.resting:
            run(one, n, clock)
    assert (one.resting, one.rests) == (True, 1)
    events = Kept()
    for _ in range(PAUSE_STRETCHES):
        one.ship(events)
    assert not one.resting
    run(one, 1, clock)
    one.ship(events)
    [(accesses, attributes)] = events.told
    assert (len(accesses), attributes[analysis.SEQUENCE], attributes[analysis.CALLS]) == (1, 0, 1)


def test_more_accesses_than_fit_make_the_sample_of_keys_smaller_and_no_count_wrong():
    one, clock = sampler()
    for n in range(5 * MOST_ACCESSES):
        run(one, n, clock)
    events = Kept()
    one.ship(events)
    [(accesses, attributes)] = events.told
    threshold = int(attributes[analysis.THRESHOLD], 16)
    assert attributes[analysis.CALLS] == 5 * MOST_ACCESSES
    assert threshold < WHOLE / 3
    assert len(accesses) <= MOST_ACCESSES
    assert len(accesses) == pytest.approx(5 * MOST_ACCESSES * threshold / WHOLE, rel=0.2)
    assert all(access.key < threshold for access in accesses)


def test_a_fork_begins_a_session_of_its_own():
    one, clock = sampler()
    run(one, 1, clock)
    before = one.session
    one.reset()
    assert one.session != before
    events = Kept()
    one.ship(events)
    assert events.told == []


# -- unasked -------------------------------------------------------------------------------------------------------


def turns(other, *qualnames, calls=LEAST_CALLS):
    for qualname in qualnames:
        for n in range(calls):
            other.call(qualname, n)


def test_functions_that_take_time_are_analyzed_unasked_and_nothing_shows(other):
    clock = Clock()
    rota = Rota(other.attachments, 0.03, True, clock=lambda: clock.now)
    reports = other.attachments.reports()
    function = other.function("slow")
    observed = function.__code__
    turns(other, "slow", "any")
    clock.now += 1
    rota.tick()
    assert function.__code__ is not observed
    assert other.attachments.reports() == reports
    turns(other, "slow", "any")
    clock.now += 1
    rota.tick()
    found = [one for one in map(Told, other.attachments.events.collect()) if one.calls]
    assert [(one.function, one.calls) for one in found] == [(other.name("slow"), LEAST_CALLS)]
    assert other.calls("slow") == 2 * LEAST_CALLS


def test_a_hijack_ends_the_analysis_and_leaves_nothing_of_it(other):
    clock = Clock()
    rota = Rota(other.attachments, 0.03, True, clock=lambda: clock.now)
    turns(other, "slow")
    clock.now += 1
    rota.tick()
    attached = other.attachments.by_name[other.name("slow")]
    assert attached.keep
    other.apply("slow", {"mock": {"value": 1}})
    assert other.call("slow", 1) == 1
    clock.now += 1
    rota.tick()
    assert [key[0] for key in attached.keep if key[0] == "analyze"] == []
    assert attached.analysis is None
    other.release()
    other.attachments.release_all()
    assert not other.function("slow").__code__.co_filename.startswith("<mystic")


def test_a_function_makes_room_when_another_one_waits(tmp_path):
    names = [f"f{n}" for n in range(SEATS + 2)]
    source = "\n".join(f"def {name}(n): return sum(range(50_000))" for name in names)
    with application(tmp_path, source) as (module, attachments):
        now = [0.0]
        rota = Rota(attachments, 0.03, True, clock=lambda: now[0])
        seen = set()
        for _ in range(6):
            for name in names:
                for n in range(LEAST_CALLS):
                    getattr(module, name)(n)
            now[0] += TURN_SECONDS
            rota.tick()
            inside = {one.qualname for one in attachments.by_name.values() if one.analysis is not None}
            assert len(inside) <= SEATS
            seen |= inside
        assert seen == set(names)


def test_switched_off_nothing_is_analyzed_unasked(other):
    turns(other, "slow")
    assert told(other) == []
    assert other.attachments.by_name[other.name("slow")].analysis is None


def test_a_function_that_must_not_be_cached_gets_no_turn_and_one_without_keys_gives_it_back(tmp_path):
    source = """
        import contextvars
        user = contextvars.ContextVar("user", default="")
        class Thing: ...
        def reads_user(n): return user.get(), sum(range(50_000))
        def keyless(n): return sum(range(50_000))
    """
    with application(tmp_path, source) as (module, attachments):
        now = [0.0]
        rota = Rota(attachments, 0.03, True, clock=lambda: now[0])
        keyless = attachments.by_name[f"{module.__name__}:keyless"]
        for _ in range(3):
            for _ in range(60):
                module.reads_user(1)
                module.keyless(module.Thing())
            now[0] += 1
            rota.tick()
            assert attachments.by_name[f"{module.__name__}:reads_user"].analysis is None
        assert keyless.analysis is None
        told = [dict(one.attributes)["mystic.function"] for one in attachments.events.collect() if "reach" in one.name]
        assert sorted(told) == sorted(f"{module.__name__}:{name}" for name in ("reads_user", "keyless"))


def test_a_forked_child_goes_on_with_the_turns_of_its_parent_and_ends_them_in_time(other):
    now = [0.0]
    parent = Rota(other.attachments, 0.03, True, clock=lambda: now[0])
    turns(other, "slow")
    now[0] += 1
    parent.tick()
    attached = other.attachments.by_name[other.name("slow")]
    assert attached.analysis is not None
    other.attachments.reset()
    child = Rota(other.attachments, 0.03, True, clock=lambda: now[0])
    other.apply("slow", {"mock": {"value": 1}})
    child.tick()
    assert [key for key in attached.keep if key[0] == "analyze"] == []


def test_a_recursion_close_to_the_limit_is_left_alone_unless_asked_for(tmp_path):
    source = """
        def deep(n): return sum(range(5_000)) * 0 + (deep(n - 1) + 1 if n else 0)
    """
    with application(tmp_path, source) as (module, attachments):
        now = [0.0]
        rota = Rota(attachments, 0.03, True, clock=lambda: now[0])
        for _ in range(3):
            module.deep(100)
            now[0] += 1
            rota.tick()
        attached = attachments.by_name[f"{module.__name__}:deep"]
        assert attached.meter.calls == 303
        assert attached.analysis is None
