"""What leaves a process for the shared cache: keys that mean the same everywhere, values that only agents sign."""

from __future__ import annotations

import dataclasses
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mystic_agent.cache.key import Unkeyable, canonical
from mystic_agent.cache.portable import fingerprint, portable
from mystic_agent.cache.sealed import Seal, Unsealable
from test_cache_key import values

SECRET = "a secret of at least sixteen characters"


def test_services_stages_secrets_and_versions_of_the_code_do_not_share():
    def code(body):
        scope: dict = {}
        exec(f"def f(a):\n return {body}", scope)
        return fingerprint(scope["f"].__code__)

    assert code("a + 1") == code("a  +  1") != code("a + 2") != code("b + 2")
    key = portable(canonical(("tea",)))
    seals = [Seal(SECRET, "shop production"), Seal(SECRET, "shop staging"), Seal(SECRET + "!", "shop production")]
    names = [seal.key("m:f", "c", key) for seal in seals] + [
        seals[0].key("m:f", "d", key),
        seals[0].key("m:g", "c", key),
    ]
    assert len(set(names)) == 5
    assert seals[0].key("m:f", "c", key) == Seal(SECRET, "shop production").key("m:f", "c", key)
    assert SECRET not in repr(seals[0])


@given(values, values)
def test_portable_keys_are_equal_exactly_when_keys_are(a, b):
    one, other = canonical(a), canonical(b)
    assert (portable(one) == portable(other)) == (one == other)


@dataclasses.dataclass
class Here:
    n: int


def test_a_key_names_only_what_is_found_under_its_name_again():
    assert portable(canonical(Here(1))) != portable(canonical(Here(2)))
    hidden = type("Here", (), {"__module__": __name__, "__qualname__": "Here"})
    for value in (hidden, lambda: 0, os):
        with pytest.raises(Unkeyable):
            portable(canonical(value))


@given(values)
def test_what_is_sealed_opens_with_the_same_secret_only(value):
    seal = Seal(SECRET, "p")
    sealed = seal.close("k", value, 5.0)
    assert seal.open("k", sealed).expires == 5.0
    assert canonical(seal.open("k", sealed).value) == canonical(value)
    assert seal.open("other", sealed) is None
    assert Seal("another secret, as long", "p").open("k", sealed) is None


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_not_opened(data):
    assert Seal(SECRET, "p").open("k", data) is None


def test_what_cannot_be_written_is_unsealable():
    with pytest.raises(Unsealable, match="cannot be pickled"):
        Seal(SECRET, "p").close("k", threading.Lock(), 1.0)
