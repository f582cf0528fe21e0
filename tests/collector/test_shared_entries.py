"""What agents share: opaque bytes in and out, refused when malformed, apart from the entries that people see."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.frames import pack, unpack
from mystic_agent.contract.wire import CACHE_FIND_PATH, CACHE_KEEP_PATH

from tests.collector.conftest import running

HOUR = struct.pack(">d", 3600.0)


def find(shared, *names):
    reply = shared.client.post(CACHE_FIND_PATH, content=pack(name.encode() for name in names))
    assert reply.status_code == 200, reply.text
    return unpack(reply.content, 1000)


def keep(shared, *parts):
    return shared.client.post(CACHE_KEEP_PATH, content=pack(parts))


def test_many_entries_are_kept_and_found_in_one_request(shared):
    parts = [part for n in range(20) for part in (b"app:many", b"k%d" % n, HOUR, b"\x80value %d" % n)]
    assert keep(shared, *parts).status_code == 204
    names = [name for n in range(21) for name in ("app:many", f"k{n}")]
    assert find(shared, *names) == [b"\x80value %d" % n for n in range(20)] + [b""]


def test_entries_of_agents_and_of_the_api_do_not_meet(shared):
    assert keep(shared, b"app:apart", b"k", HOUR, b"\x80\x00").status_code == 204
    assert shared.client.get("/api/cache/app:apart/k").status_code == 404
    assert shared.client.put("/api/cache/app:apart/k", json={"value": 1}).status_code == 200
    assert find(shared, "app:apart", "k") == [b"\x80\x00"]


def test_a_reply_has_its_bounds_and_leaves_the_rest_out(shared):
    large = bytes(2**20)
    for n in range(6):
        assert keep(shared, b"app:large", b"k%d" % n, HOUR, large).status_code == 204
    found = find(shared, *[name for n in range(6) for name in ("app:large", f"k{n}")])
    assert [len(one) for one in found] == [2**20] * 4 + [0] * 2


def test_an_entry_ends_with_its_time_to_live(shared):
    assert keep(shared, b"app:brief", b"k", struct.pack(">d", 1e-6), b"x").status_code == 204
    assert find(shared, "app:brief", "k") == [b""]


@pytest.mark.parametrize(
    "parts",
    [
        (b"f", b"k", HOUR),
        (b"", b"k", HOUR, b"v"),
        (b"f\x00g", b"k", HOUR, b"v"),
        (b"\x01f", b"k", HOUR, b"v"),
        (b"f" * 1001, b"k", HOUR, b"v"),
        (b"\xff", b"k", HOUR, b"v"),
        (b"f", b"k", b"1", b"v"),
        (b"f", b"k", struct.pack(">d", -1.0), b"v"),
        (b"f", b"k", struct.pack(">d", float("nan")), b"v"),
        (b"f", b"k", struct.pack(">d", float("inf")), b"v"),
        (b"f", b"k", HOUR, b"v") * 300,
    ],
)
def test_what_is_malformed_is_refused(shared, parts):
    assert keep(shared, *parts).status_code == (400 if len(parts) > 4 * 256 else 422)


def test_a_cut_body_an_odd_question_and_a_large_body_are_refused(shared):
    assert shared.client.post(CACHE_FIND_PATH, content=b"\x00\x00\x00\x09abc").status_code == 400
    assert shared.client.post(CACHE_FIND_PATH, content=pack([b"only"])).status_code == 422
    assert shared.client.post(CACHE_KEEP_PATH, content=bytes(5 * 2**20)).status_code == 413


def test_the_key_is_asked_for(tmp_path):
    with running(tmp_path, api_key="the key of this collector") as collector:
        for path in (CACHE_FIND_PATH, CACHE_KEEP_PATH):
            assert collector.client.post(path, content=b"").status_code == 401


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_frames_come_back_as_they_were(parts):
    assert unpack(pack(parts), 20) == parts


@given(st.binary(max_size=100))
def test_any_bytes_are_frames_or_invalid(data):
    try:
        assert pack(unpack(data, 10)) == data
    except Invalid:
        pass
