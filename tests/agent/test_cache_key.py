"""Equal calls have equal keys, unequal calls have unequal ones, and nothing of the application runs."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import decimal
import enum
import math
import uuid
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mystic_agent.cache.key import Unkeyable, canonical

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.decimals(allow_nan=False),
    st.datetimes(),
    st.uuids(),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner),
        st.tuples(inner, inner),
        st.dictionaries(st.text(), inner),
        st.frozensets(st.integers() | st.text()),
    ),
    max_leaves=12,
)


def strict(value):
    """Describe a value by types and contents, independently of the code under test."""
    if isinstance(value, float):
        return ("float", value.hex())
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, [strict(v) for v in value])
    if isinstance(value, dict):
        return ("dict", sorted(((repr(strict(k)), repr(strict(v))) for k, v in value.items())))
    if isinstance(value, frozenset):
        return ("frozenset", sorted(repr(strict(v)) for v in value))
    return (type(value).__name__, str(value))


@given(values, values)
def test_keys_are_equal_exactly_when_types_and_contents_are(a, b):
    assert (canonical(a) == canonical(b)) == (strict(a) == strict(b))


@given(values)
def test_a_copy_has_the_same_key(a):
    assert canonical(copy.deepcopy(a)) == canonical(a)
    assert hash(canonical(copy.deepcopy(a))) == hash(canonical(a))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        ("1", 1),
        (b"a", "a"),
        ([1], (1,)),
        ({"a": 1}, {"a": True}),
        ((1, (2,)), ((1, 2),)),
        (decimal.Decimal("1.0"), decimal.Decimal("1.00")),
        (datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), datetime.datetime(2026, 1, 1)),
        (datetime.datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")), datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)),
        ("x" * 5000, "x" * 5001),
        (uuid.UUID(int=1), 1),
        (int, float),
    ],
)
def test_look_alikes_differ(a, b):
    assert canonical(a) != canonical(b)


def test_the_order_of_a_dict_and_of_a_set_does_not_matter():
    assert canonical({"a": 1, "b": [2]}) == canonical({"b": [2], "a": 1})
    assert canonical({3, 1, 2}) == canonical({2, 3, 1})


def test_nan_is_equal_to_itself_as_a_key():
    assert canonical(math.nan) == canonical(float("nan"))


class Point(NamedTuple):
    x: int
    y: int


class Pair(NamedTuple):
    x: int
    y: int


class Colour(enum.Enum):
    RED = 1


class Number(enum.IntEnum):
    ONE = 1


@dataclasses.dataclass
class Money:
    amount: int
    currency: str = "EUR"


@dataclasses.dataclass(eq=False)
class Account:
    number: int


def test_named_tuples_enums_and_dataclasses_are_their_type_and_contents():
    assert canonical(Point(1, 2)) == canonical(Point(1, 2)) != canonical(Pair(1, 2)) != canonical((1, 2))
    assert canonical(Colour.RED) == canonical(Colour.RED) != canonical(1)
    assert canonical(Number.ONE) != canonical(1)
    assert canonical(Money(1)) == canonical(Money(1)) != canonical(Money(2))


def test_what_compares_by_identity_or_holds_more_than_its_fields_is_refused():
    with_more = Money(1)
    with_more.note = "x"
    for value in (object(), Account(1), with_more, iter([]), [object()]):
        with pytest.raises(Unkeyable):
            canonical(value)


def test_nothing_of_the_application_runs():
    def explode(*_):
        raise AssertionError("application code ran")

    methods = ("__repr__", "__eq__", "__hash__", "__str__", "__len__", "__iter__", "__getattribute__")
    hostile = type("Hostile", (), dict.fromkeys(methods, explode))()
    with pytest.raises(Unkeyable):
        canonical(hostile)
    with pytest.raises(Unkeyable):
        canonical({"deep": [hostile]})


def test_cycles_and_giants_are_refused():
    cycle: list = []
    cycle.append(cycle)
    with pytest.raises(Unkeyable):
        canonical(cycle)
    with pytest.raises(Unkeyable):
        canonical(list(range(1)) + [[[0.5] * 10 for _ in range(10)] for _ in range(1000)])


def test_a_class_that_poses_as_a_known_type_is_refused():
    fake = type("datetime", (), {"__module__": "datetime"})
    with pytest.raises(Unkeyable):
        canonical(fake())


def test_arrays_are_keyed_by_type_shape_and_bytes():
    numpy = pytest.importorskip("numpy", reason="numpy is not among the test requirements of this interpreter")
    a = numpy.arange(6, dtype="int32")
    assert canonical(a) == canonical(a.copy())
    assert canonical(a) != canonical(a.reshape(2, 3))
    assert canonical(a) != canonical(a.astype("int64"))
    assert canonical(a[::2]) == canonical(a[::2].copy())
    assert canonical(numpy.float64(1)) != canonical(1.0)
    with pytest.raises(Unkeyable):
        canonical(numpy.array([object()]))
