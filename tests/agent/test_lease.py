"""What of a set of hijacks a process takes, and until when."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.hijack import Hijack, parse_hijack
from mystic_agent.lease import Leases
from mystic_agent.link.hijack_set import read_hijack_set
from mystic_agent.settings import load


def hijack(identity: str, strategy: Any = "observe", **more: Any) -> Hijack:
    return parse_hijack({"id": identity, "target": "shop:price", "stages": {"*": [strategy]}, **more})


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def ids(taken: Any) -> list[str]:
    return [one.id for one in taken[0]]


@pytest.mark.parametrize("wall", [0.0, 1_000.0, 9e9])
def test_a_lease_ends_by_the_senders_time_and_a_monotonic_clock_however_wrong_ours_is(wall: float) -> None:
    clock = Clock(5.0)
    leases = Leases("production", None, clock, Clock(wall))
    taken = leases.take([hijack("a", expires_at=1_060.0), hijack("b")], [("c", "bad")], now=1_000.0)
    assert (ids(taken), taken[1]) == (["a", "b"], (("c", "bad"),))
    clock.now += 59
    assert leases.end() is None
    clock.now += 1
    left = leases.end()
    assert (ids(left), left and left[1]) == (["b"], (("c", "bad"),))
    assert leases.end() is None


def test_a_sender_that_does_not_say_its_time_is_believed_to_have_ours() -> None:
    leases = Leases("production", None, Clock(5.0), Clock(1_000.0))
    assert ids(leases.take([hijack("a", expires_at=999.0), hijack("b", expires_at=1_001.0)], [])) == ["b"]


def test_a_hijack_is_refused_whole_when_one_of_its_strategies_is_not_allowed_in_this_stage() -> None:
    staged = {"production": ["log", {"mock": {"value": 1}}], "*": ["log"]}
    both = parse_hijack({"id": "a", "target": "shop:price", "stages": staged})
    for stage, allowed, taken in (
        ("production", ("log",), []),
        ("development", ("log",), ["a"]),
        ("production", ("log", "mock"), ["a"]),
        ("production", None, ["a"]),
        ("development", (), []),
    ):
        found = Leases(stage, allowed).take([both], [])
        assert (ids(found), bool(found[1])) == (taken, not taken)
    assert ids(Leases("any", ()).take([hijack("o")], [])) == ["o"]  # observing is done without hijacks as well


def test_a_name_that_does_not_exist_closes_and_never_opens() -> None:
    assert load({}).allowed_strategies is None
    assert load({"MYSTIC_ALLOWED_STRATEGIES": " "}).allowed_strategies is None
    assert load({"MYSTIC_ALLOWED_STRATEGIES": "log, cache"}).allowed_strategies == ("log", "cache")
    wrong = load({"MYSTIC_ALLOWED_STRATEGIES": "cash"})
    assert wrong.allowed_strategies == ()
    assert "'cash'" in wrong.warnings[0]


def test_the_set_says_whether_everything_is_off_and_what_time_it_is() -> None:
    plain = read_hijack_set('{"version": 1, "hijacks": []}')
    assert (plain.off, plain.now) == (False, None)
    told = read_hijack_set('{"version": 1, "hijacks": [], "off": true, "now": 7.5}')
    assert (told.off, told.now) == (True, 7.5)
    for field, value in (("off", 1), ("off", "yes"), ("now", True), ("now", -1), ("now", 1e13), ("now", "soon")):
        with pytest.raises(Invalid, match=field):
            read_hijack_set(json.dumps({"version": 1, "hijacks": [], field: value}))
