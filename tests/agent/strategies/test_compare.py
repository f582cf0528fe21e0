"""Results are compared by what they hold, within tolerances, and none of their code runs."""

from __future__ import annotations

import datetime
import decimal
import enum
import pathlib
import uuid
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass, field
from math import inf, nan

import pytest
from mystic_agent.strategies.compare import Incomparable, Tolerance, difference

Point = namedtuple("Point", "x y")


@dataclass
class Line:
    price: float
    tags: list = field(default_factory=list)


@dataclass(slots=True)
class Slim:
    price: float


class Plain:
    def __init__(self, **held):
        self.__dict__.update(held)


class Hostile:
    """Every method that a comparison could call raises."""

    def __init__(self, value):
        object.__setattr__(self, "value", value)

    def _no(self, *args):
        raise AssertionError("code of the result ran")

    __eq__ = __ne__ = __hash__ = __repr__ = __str__ = __len__ = __iter__ = __getattribute__ = __bool__ = _no


class Named(str):
    def __eq__(self, other):
        raise AssertionError

    __hash__ = str.__hash__


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Wide(dict):
    pass


class Queue(deque):
    pass


def circle():
    one = [1]
    one.append(one)
    return one


MOMENT = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)
ALIKE = [
    lambda: None,
    lambda: [1, 2.5, "a", b"b", True, None, 3j, ...],
    lambda: {"a": {1, 2}, 3: (frozenset({4}), bytearray(b"x"))},
    lambda: [nan, inf, -inf],
    lambda: Line(2.5, ["x"]),
    lambda: Slim(2.5),
    lambda: Plain(a=1, b=[Plain(c=2)]),
    lambda: Point(1, [2]),
    lambda: Hostile([1]),
    lambda: [Named("x")],
    lambda: [Colour.RED, decimal.Decimal("1.50"), uuid.UUID(int=5), MOMENT, pathlib.Path("a/b")],
    lambda: [OrderedDict(a=1), defaultdict(list, {"a": [1]}), Counter("aab"), Wide(a=1)],
    lambda: [ValueError("x", 1), KeyError],
    lambda: range(3),
    circle,
]


@pytest.mark.parametrize("make", ALIKE)
def test_what_was_made_alike_is_alike(make):
    assert difference(make(), make()) is None


DIFFERENT = [
    (1, 2, "result", "1", "2"),
    (1, 1.0, "result", "1", "1.0"),
    (1, True, "result", "1", "True"),
    (0.1 + 0.2, 0.3, "result", "0.30000000000000004", "0.3"),
    ("a", b"a", "result", "'a'", "<bytes of 1 bytes>"),
    ([1, 2], [1, 2, 3], "len()", "2", "3"),
    ([1, {"a": [5]}], [1, {"a": [6]}], "1.a.0", "5", "6"),
    ({"a": 1}, {"a": 1, "b": 2}, "b", "absent", "2"),
    ({"a": 1}, {}, "a", "1", "absent"),
    ({1: "x"}, {True: "x"}, "1", "'x'", "absent"),
    ({1, 2}, {1, 3}, "2", "None", "absent"),
    (Line(1.0), Line(2.0), "price", "1.0", "2.0"),
    (Slim(1.0), Slim(2.0), "price", "1.0", "2.0"),
    (Plain(a=1), Plain(a=2), "a", "1", "2"),
    (Wide(a=1), Wide(a=2), "a", "1", "2"),
    (Wide(a=1), {"a": 1}, "result", None, None),
    (decimal.Decimal("1.5"), decimal.Decimal("1.50"), "result", "'1.5'", "'1.50'"),
    (Colour.RED, Colour.BLUE, "_name_", "'RED'", "'BLUE'"),
    (ValueError("x"), ValueError("y"), "args.0", "'x'", "'y'"),
    ({"password": "hunter1"}, {"password": "hunter2"}, "password", "[redacted]", "[redacted]"),
    (["Bearer abcdefghijkl"], ["x"], "0", "'[redacted]'", "'x'"),
    ([("cookie", "hunter1")], [("cookie", "hunter2")], "0.cookie", "[redacted]", "[redacted]"),
]


@pytest.mark.parametrize(("old", "new", "path", "shown_old", "shown_new"), DIFFERENT)
def test_a_difference_is_named_by_its_path_and_both_values(old, new, path, shown_old, shown_new):
    found = difference(old, new)
    assert found is not None
    assert found.path == path or {*map(type, (old, new))} == {Colour}
    if shown_old is not None and type(old) is not Colour:
        assert (found.old, found.new) == (shown_old, shown_new)


def test_no_code_of_a_result_runs():
    assert difference(Hostile([1]), Hostile([2])) == ("value.0", "1", "2")
    assert difference({"a": Hostile(Named("x"))}, {"a": Hostile(Named("y"))}) == ("a.value", "'x'", "'y'")


@pytest.mark.parametrize(
    ("old", "new", "tolerance", "same"),
    [
        (100.0, 100.9, Tolerance(relative=0.01), True),
        (100.0, 101.2, Tolerance(relative=0.01), False),
        (0.0, 1e-9, Tolerance(absolute=1e-6), True),
        (1, 1.0, Tolerance(absolute=1e-6), True),
        (inf, 5.0, Tolerance(relative=1.0), False),
        (True, 1, Tolerance(absolute=1), False),
        ({"at": 1, "x": 2}, {"at": 9, "x": 2}, Tolerance(ignore=(("at",),)), True),
        ({"at": 1}, {}, Tolerance(ignore=(("at",),)), True),
        ([{"id": 1}, {"id": 2}], [{"id": 3}, {"id": 4}], Tolerance(ignore=(("*", "id"),)), True),
        ([{"id": 1}], [{"id": 3}], Tolerance(ignore=(("id",),)), False),
    ],
)
def test_tolerances_say_what_is_no_difference(old, new, tolerance, same):
    assert (difference(old, new, tolerance) is None) is same


def test_arrays_are_compared_by_their_numbers():
    numpy = pytest.importorskip("numpy", exc_type=ImportError)
    one = numpy.array([[1.0, nan], [3.0, 4.0]])
    assert difference(one, one.copy()) is None
    other = one.copy()
    other[1, 0] = 3.1
    assert difference(one, other)[:3] == ("1.0", "3.0", "3.1")
    assert difference(one, other, Tolerance(relative=0.1)) is None
    assert difference(one, one.astype("float32")).path == "dtype"
    assert difference(one, one[:1]).path == "shape.0"
    assert difference(numpy.float64(1), numpy.float64(1)) is None
    assert difference(numpy.array(["a"]), numpy.array(["b"])).old == "'a'"
    with pytest.raises(Incomparable, match="objects"):
        difference(numpy.array([None]), numpy.array([1], dtype=object))


def test_numbers_beyond_floats_are_compared_exactly():
    assert difference(10**400, 10**400, Tolerance(relative=0.1)) is None
    assert difference(10**400, 10**400 + 1, Tolerance(relative=0.1)) is not None
    assert difference(10**400, 1.0, Tolerance(relative=0.1)) is not None


@pytest.mark.parametrize("make", [lambda: iter([1]), lambda: lambda: 1, object, deque, Queue])
def test_what_nobody_can_see_into_is_not_compared(make):
    with pytest.raises(Incomparable):
        difference(make(), make())


def test_results_of_too_many_parts_are_not_compared():
    with pytest.raises(Incomparable, match="too many"):
        difference(list(range(200_000)), list(range(200_000)))
