"""Conditions over single calls: a small language that runs nothing, never fails and takes a bounded time."""

from __future__ import annotations

import time
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from mystic_agent.contract.condition import LONGEST, condition
from mystic_agent.contract.errors import Invalid
from mystic_agent.strategies.condition import ABSENT, Condition, Ended

NAMES = ("a", "b", "items", "order")
ORDER = {"total": 120.5, "lines": [{"sku": "tea"}, {"sku": "mug"}], 7: "seven", None: 1}


def met(text, a=1, b="two", items=(1, 2, 3), order=ORDER, result=ABSENT, error=None, seconds=0.25):
    made = Condition(text, NAMES)
    assert made.problem == ""
    return made.met((a, b, items, order), Ended(result, error, seconds))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("a == 1", True),
        ("a == 1.0 and a == True", True),
        ("a == '1'", False),
        ("a != '1'", True),
        ("0 < a <= 1", True),
        ("0 < a < 1", False),
        ("a > -5", True),
        ("b == 'two' or a == 9", True),
        ("not b == 'two'", False),
        ("'w' in b and 'x' not in b", True),
        ("b in ('one', 'two')", True),
        ("b in {'one'}", False),
        ("2 in items and 9 not in items", True),
        ("items == (1, 2, 3)", True),
        ("items == [1, 2, 3]", True),
        ("items == [1, 2]", False),
        ("len(items) > 2", True),
        ("items[0] == 1 and items[-1] == 3", True),
        ("items[10] == 1 or items[10] != 1", False),
        ("order['total'] > 100", True),
        ("order['lines'][1]['sku'] == 'mug'", True),
        ("order[7] == 'seven'", True),
        ("order['nothing'] == None", False),
        ("order['nothing'] is None", False),
        ("'total' in order", True),
        ("type(a) == 'int' and type(order) == 'dict'", True),
        ("len(a) > 0", False),
        ("a < 'x' or a >= 'x'", False),
        ("duration >= 0.25 and duration < 1", True),
        ("exception is None", True),
        ("result is None or result == 1 or result", False),
        ("a", True),
        ("not items", False),
        ("None is None", True),
    ],
)
def test_a_condition_means_what_it_says(text, expected):
    assert condition(text, "when") == text
    assert met(text) is expected


def test_the_outcome_is_known_by_result_exception_and_duration():
    class Refused(ValueError):
        pass

    assert met("result[0] == 5 and len(result) == 1", result=[5])
    assert met("result is None", result=None)
    assert met("exception == 'ValueError' and result is not None", error=ValueError("x")) is False
    assert met("exception == 'ValueError'", error=ValueError("x"))
    assert met("'Refused' in exception and exception is not None", error=Refused())
    assert met("duration > 2", seconds=2.5)


@pytest.mark.parametrize(
    ("text", "early"), [("a == 1", True), ("", True), ("a == 1 or result", False), ("duration", False)]
)
def test_what_asks_for_arguments_alone_can_be_decided_before_the_call(text, early):
    assert Condition(text, NAMES).early is early


@pytest.mark.parametrize(
    "text",
    [
        "a.b == 1",
        "a + 1 > 2",
        "f(a)",
        "len(a, b)",
        "len(*a)",
        "type(a, b=1)",
        "len.x(a)",
        "[x for x in items]",
        "lambda: 1",
        "(a := 1)",
        "a if b else 1",
        "f'{a}'",
        "items[a]",
        "items[0:1]",
        "items[-a]",
        "-a",
        "-'a'",
        "a is b",
        "a == 1; b",
        "a = 1",
        "import os",
        "__import__('os')",
        "a ==",
        "1j == a",
        "... == a",
        "await a",
        "a == '\\d'",
        "a == 1or b",
        "{'a': 1} == a",
        "*a",
        "not " * 200 + "a",
        "(" * 300,
        "a == " + "1" * LONGEST,
        "~a",
        5,
        None,
    ],
)
def test_anything_else_is_refused_with_the_remedy(text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Invalid) as caught:
            condition(text, "stages.*[0].snapshot.when")
    assert caught.value.field == "stages.*[0].snapshot.when"
    assert caught.value.remedy


def test_a_name_that_the_function_does_not_have_is_named_with_those_it_has():
    assert Condition("c == 1 and a", NAMES).problem == "when asks for c, but the parameters are a, b, items, order"


def explode(*_):
    raise AssertionError("application code ran")


HOSTILE = type(
    "Hostile",
    (),
    dict.fromkeys(
        "__repr__ __str__ __eq__ __ne__ __lt__ __gt__ __le__ __ge__ __hash__ __len__ __iter__ __bool__ __contains__"
        " __getitem__ __getattribute__ __class_getitem__".split(),
        explode,
    ),
)
LIKE_TEXT = type("Text", (str,), {"__eq__": explode, "__hash__": lambda self: hash("total"), "__contains__": explode})
QUESTIONS = (
    "a == 1", "a != 1", "a < 1", "a in items", "1 in a", "a in (1, 2)", "a == b", "a == items", "len(a) == 1",
    "type(a) == 'x'", "not a", "a", "a[0] == 1", "a['total'] == 1", "a is None", "items == [1, 'x']", "b in order",
    "order['total'] == 1", "order == order", "a and b and items and order",
)  # fmt: skip


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_code_of_the_application_runs(question):
    hostile, text = HOSTILE(), LIKE_TEXT("total")
    order = {text: 1, 5: hostile}
    for a in (hostile, text, [hostile], (text,), order, {1: hostile}):
        assert met(question, a=a, b=hostile, items=[1, hostile, text], order=order, result=hostile) in (True, False)


HUGE = (
    "x" * 10**7,
    list(range(10**6)),
    dict.fromkeys(range(10**6)),
    1 << 10**6,
    [[[[list(range(300))] * 300] * 300] * 300],
)


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_value_makes_it_slow(question):
    began = time.thread_time()
    for a in HUGE:
        met(question, a=a, b=a, items=a, order=a if type(a) is dict else ORDER)
    assert time.thread_time() - began < 2, "it looked into all of a value"


@settings(deadline=None)  # the machine may be busy
@given(
    some.recursive(
        some.none() | some.booleans() | some.integers() | some.floats() | some.text() | some.binary(),
        lambda inner: some.lists(inner) | some.tuples(inner) | some.dictionaries(some.text(), inner),
        max_leaves=20,
    ),
    some.sampled_from(QUESTIONS),
)
def test_it_never_fails(value, question):
    assert met(question, a=value, b=value, items=value, order=value, result=value) in (True, False)
