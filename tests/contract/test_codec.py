"""What is encoded comes back exactly as it was; what nobody encoded is refused, and never run."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import json
import math
import pickle
import struct
import uuid
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mystic_agent.contract.codec import DEEPEST, MOST_HASHED, Unencodable, decode, encode
from mystic_agent.contract.errors import Invalid

offsets = st.timedeltas(datetime.timedelta(hours=-23), datetime.timedelta(hours=23)).map(datetime.timezone)
hashable = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**200), 2**200),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=())),
    st.binary(),
    st.dates(),
    st.datetimes(timezones=st.none() | offsets),
    st.times(timezones=st.none() | offsets),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.uuids(),
    st.complex_numbers(allow_nan=False),
)
keys = st.recursive(hashable, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=4)
values = st.recursive(
    hashable | st.just(math.nan) | st.binary().map(bytearray),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(keys, inner, max_size=5)
        | st.dictionaries(st.text(), inner, max_size=5)
        | st.sets(keys, max_size=5)
    ),
    max_leaves=15,
)


def strict(value):
    """Describe a value by exact types and contents, independently of the code under test."""
    kind = type(value).__name__
    if isinstance(value, float):
        return (kind, "nan" if value != value else struct.pack("<d", value).hex())
    if isinstance(value, complex):
        return (kind, strict(value.real), strict(value.imag))
    if isinstance(value, (list, tuple)):
        return (kind, [strict(one) for one in value])
    if isinstance(value, dict):
        return (kind, [(strict(k), strict(v)) for k, v in value.items()])
    if isinstance(value, (set, frozenset)):
        return (kind, sorted(repr(strict(one)) for one in value))
    fold = getattr(value, "fold", None)
    return (kind, repr(value), fold)


@given(values)
def test_every_value_comes_back_with_its_exact_types(value):
    assert strict(decode(encode(value))) == strict(value)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**62), 2**62)
        | st.text("abc")
        | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("abc", min_size=1), inner),
    )
)
def test_plain_json_is_itself_in_both_directions(value):
    assert json.loads(encode(value)) == value
    assert strict(decode(json.dumps(value).encode())) == strict(value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        ((1,), [1]),
        (b"a", "a"),
        ({1}, frozenset({1})),
        ({"1": 2}, {1: 2}),
        (b"a", bytearray(b"a")),
        (decimal.Decimal("1.0"), decimal.Decimal("1.00")),
        (math.nan, None),
    ],
)
def test_look_alikes_stay_apart(one, other):
    assert encode(one) != encode(other)
    assert strict(decode(encode([one, other]))) == strict([one, other])


def test_the_order_of_a_dict_and_a_key_that_looks_like_a_tag_survive():
    value = {"b": 1, "a": {"": ["tuple", 1]}, "": 2}
    assert list(decode(encode(value))) == ["b", "a", ""]
    assert decode(encode(value)) == value
    assert decode(encode("\ud83d\ude00")) == "\ud83d\ude00"


class Shade(enum.IntEnum):
    DARK = 1


class Text(str):
    pass


@pytest.mark.parametrize(
    "value",
    [
        object(),
        Shade.DARK,
        Text("a"),
        collections.OrderedDict(a=1),
        collections.namedtuple("P", "x")(1),
        len,
        int,
        datetime.datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")),
        iter([]),
        datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(0), "Named")),
        type("Decimal", (), {"__module__": "decimal"})(),
    ],
)
def test_what_reading_back_would_take_code_for_is_refused_by_its_type(value):
    with pytest.raises(Unencodable) as why:
        encode([value])
    assert type(value).__name__ in why.value.reason or "time zone" in why.value.reason


def nested(depth):
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


def test_depth_and_size_are_bounded_on_both_sides():
    cycle: list = []
    cycle.append(cycle)
    for value in (cycle, nested(DEEPEST + 1), nested(100_000)):
        with pytest.raises(Unencodable, match="deep"):
            encode(value)
    assert decode(encode(nested(DEEPEST - 1))) == nested(DEEPEST - 1)
    for value in ("x" * 1000, b"x" * 1000, list(range(1000)), 1 << 8000, {str(n): n for n in range(1000)}):
        with pytest.raises(Unencodable, match="bytes"):
            encode(value, most=900)
    with pytest.raises(Unencodable, match="sets"):
        encode(set(range(MOST_HASHED + 1)))
    with pytest.raises(Invalid):
        decode(b"[" + b"1," * 1000 + b"1]", most=900)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b"[1,]",
        b"NaN",
        b"[Infinity]",
        b"1e999",
        b"9" * 30,
        b"9" * 5000,
        b"nul",
        "text",
        b"[" * 100_000,
        b'{"":' * 100_000,
        b"[" * 80 + b"]" * 80,
        b'{"":[]}',
        b'{"":{}}',
        b'{"":["tuple"],"a":1}',
        b'{"":[["tuple"]]}',
        b'{"":["Bomb",1]}',
        b'{"":["eval","1"]}',
        b'{"":["dict",1]}',
        b'{"":["set",[]]}',
        b'{"":["int",1]}',
        b'{"":["int","x"]}',
        b'{"":["float","1.0"]}',
        b'{"":["float","nan",1]}',
        b'{"":["bytes","a"]}',
        b'{"":["bytes",1]}',
        b'{"":["date",1,1]}',
        b'{"":["date",0,1,1]}',
        b'{"":["datetime",2026,1,1,0,0,0,0,0,1e300]}',
        b'{"":["datetime",2026,1,1]}',
        b'{"":["time",0,0,0,0,0,86400000000]}',
        b'{"":["Decimal",1.5]}',
        b'{"":["Decimal","x"]}',
        b'{"":["UUID","-1"]}',
        b'{"":["text","zz"]}',
        b'{"":["text",1]}',
        b'{"":["timedelta",1e300,0,0]}',
        b'{"":["complex",1,2]}',
        b'{"":["__import__","os"]}',
        pickle.dumps([1]),
    ],
    ids=lambda data: repr(data[:40]),
)
def test_hostile_bytes_are_invalid(data):
    with pytest.raises(Invalid):
        decode(data)


def test_a_set_of_colliding_numbers_is_refused_before_it_is_built():
    colliding = ",".join(f'{{"":["int","{hex(n * (2**61 - 1))}"]}}' for n in range(MOST_HASHED + 1))
    with pytest.raises(Invalid):
        decode(f'{{"":["set",{colliding}]}}'.encode())


def settled(data):
    """True when ``data`` is refused, or is a value that is written and read back as it is."""
    try:
        value = decode(data)
    except Invalid:
        return True
    return strict(decode(encode(value))) == strict(value)


@given(st.binary(max_size=300) | st.text().map(str.encode))
def test_any_bytes_are_a_value_or_invalid(data):
    assert settled(data)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.text(max_size=2), inner)
            | st.builds(
                lambda name, parts: {"": [name, *parts]},
                st.sampled_from(
                    [
                        "tuple",
                        "set",
                        "dict",
                        "int",
                        "float",
                        "bytes",
                        "date",
                        "datetime",
                        "time",
                        "timedelta",
                        "Decimal",
                        "UUID",
                        "text",
                        "complex",
                    ]
                ),
                st.lists(inner, max_size=8),
            )
        ),
    )
)
def test_any_json_with_our_tags_is_a_value_or_invalid(value):
    assert settled(json.dumps(value).encode())


def test_uuids_are_read_without_their_text_form():
    assert decode(encode(uuid.UUID(int=5))) == uuid.UUID(int=5)
