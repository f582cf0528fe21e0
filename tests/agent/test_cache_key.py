"""Equal calls have equal keys, unequal calls have unequal ones, and nothing of the application runs."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import decimal
import enum
import math
import types
import uuid
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mystic_agent.cache.key import Unkeyable, canonical

try:
    import numpy
except ImportError:
    numpy = None  # not among the test requirements of every interpreter


class Point(NamedTuple):
    x: object
    y: object


class Pair(NamedTuple):
    x: object
    y: object


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Number(enum.IntEnum):
    ONE = 1


@dataclasses.dataclass
class Money:
    amount: object
    currency: object = "EUR"


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    amount: object
    currency: object = "EUR"


@dataclasses.dataclass(eq=False)
class Account:
    number: int


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
    st.sampled_from([*Colour, *Number, int, float]),
)
if numpy is not None:
    from hypothesis.extra import numpy as arrays

    kinds = st.sampled_from(["int8", "int32", "<i8", ">i8", "float32", "float64", "bool", "S2", "U2", "M8[s]"])
    scalars |= kinds.flatmap(lambda kind: arrays.arrays(kind, arrays.array_shapes(min_side=0, max_side=3)))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner),
        st.tuples(inner, inner),
        st.dictionaries(st.text(), inner),
        st.frozensets(st.integers() | st.text()),
        *(st.builds(kind, inner, inner) for kind in (Point, Pair, Money, Frozen)),
    ),
    max_leaves=12,
)


def strict(value):
    """Describe a value by types and contents, independently of the code under test."""
    if isinstance(value, (enum.Enum, type)):
        return (type(value).__name__, repr(value))
    if dataclasses.is_dataclass(value):
        return (type(value).__name__, [strict(getattr(value, one.name)) for one in dataclasses.fields(value)])
    if isinstance(value, float):
        return ("float", value.hex())
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, [strict(v) for v in value])
    if isinstance(value, dict):
        return ("dict", sorted(((repr(strict(k)), repr(strict(v))) for k, v in value.items())))
    if isinstance(value, frozenset):
        return ("frozenset", sorted(repr(strict(v)) for v in value))
    if type(value).__name__ == "ndarray":
        return ("ndarray", value.dtype.str, value.shape, value.tolist().__repr__(), value.tobytes())
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
    if numpy is None:
        pytest.skip("numpy is not among the test requirements of this interpreter")
    a = numpy.arange(6, dtype="int32")
    assert canonical(a) == canonical(a.copy())
    assert canonical(a) != canonical(a.reshape(2, 3))
    assert canonical(a) != canonical(a.astype("int64"))
    assert canonical(a[::2]) == canonical(a[::2].copy())
    assert canonical(numpy.float64(1)) != canonical(1.0)
    with pytest.raises(Unkeyable):
        canonical(numpy.array([object()]))


@given(st.lists(st.sampled_from(["class", "function", "module", "value"]), min_size=2, max_size=60))
def test_what_is_made_at_an_address_that_was_used_before_has_a_key_of_its_own(kinds):
    make = {
        "class": lambda: type("Made", (), {}),
        "function": lambda: eval("lambda: 1"),  # a function of its own each time, of equal code
        "module": lambda: types.ModuleType("made"),
        "value": lambda: type("Made", (tuple,), {"_fields": ()})(),
    }
    assert len({canonical([make[kind]()]) for kind in kinds}) == len(kinds)


@given(st.lists(values, max_size=5), st.randoms())
def test_a_key_does_not_change_with_the_order_of_a_dict_and_not_when_the_argument_is_changed_later(items, random):
    given_as = [(f"k{n}", item) for n, item in enumerate(items)]
    said = dict(given_as)
    key = canonical(said)
    random.shuffle(given_as)
    assert canonical(dict(given_as)) == key
    before = hash(key)
    said["more"] = 1
    assert hash(key) == before != hash(canonical(said))
