"""Callers are divided by lot or by a key: the share holds, a caller keeps its side, and growth lets none go."""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from itertools import pairwise

import pytest
from module_under_test import application, hijack

KEYS = [f"user-{n}" for n in range(4000)]


def sides(app, strategy, keys=KEYS, **options):
    """Return who goes to the other implementation."""
    report = app.apply("plain", {strategy: {"to": app.name("other_plain"), "key": "a", **options}})
    assert report.reason == ""
    return {key for key in keys if app.call("plain", key) == "other"}


@pytest.mark.parametrize("strategy", ["ab", "rollout"])
def test_the_share_holds_and_a_caller_keeps_its_side(app, strategy):
    chosen = sides(app, strategy, share="20%")
    assert 0.17 < len(chosen) / len(KEYS) < 0.23  # four standard deviations are 2.5 points; the hash is fixed anyway
    assert sides(app, strategy, share="20%") == chosen


@pytest.mark.parametrize("strategy", ["ab", "rollout"])
def test_who_is_in_stays_in_while_the_share_grows(app, strategy):
    grown = [sides(app, strategy, KEYS[:500], share=share) for share in (0, 0.01, 0.1, 0.5, 0.9, 1)]
    assert all(before <= after for before, after in pairwise(grown))
    assert (grown[0], grown[-1]) == (set(), set(KEYS[:500]))


@pytest.mark.parametrize("strategy", ["ab", "rollout"])
def test_nobody_falls_back_while_the_share_grows_under_threads_and_every_call_is_counted(app, strategy):
    over, fell, calls = threading.Event(), [], []

    def work(number):
        new, count = set(), 0
        while not over.is_set() or count < 50:
            key = f"user-{number}-{count % 25}"
            count += 1
            went = app.module.plain(key) == "other"
            if went:
                new.add(key)
            elif key in new:
                fell.append(key)
        calls.append(count)

    app.apply("plain", {strategy: {"to": app.name("other_plain"), "key": "a", "share": 0}})
    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for step in range(1, 41):
        app.apply("plain", {strategy: {"to": app.name("other_plain"), "key": "a", "share": step / 40}})
    over.set()
    for thread in threads:
        thread.join(60)
    assert (fell, len(calls)) == ([], 8)
    assert sum(app.decisions("plain").values()) == sum(calls)


def test_another_salt_divides_otherwise(app):
    one, two = (sides(app, "ab", KEYS[:1000], share=0.5, salt=salt) for salt in ("one", "two"))
    assert 0.15 < len(one & two) / 1000 < 0.35


def test_every_process_divides_alike(app):
    chosen = sides(app, "rollout", KEYS[:200], share=0.5, salt="fleet")
    code = (
        "from hashlib import blake2b\n"
        "salt = b'fleet'\n"
        "for n in range(200):\n"
        "    data = len(salt).to_bytes(4, 'big') + salt + f'str:user-{n}'.encode()\n"
        "    if int.from_bytes(blake2b(data, digest_size=8).digest(), 'big') < 1 << 63:\n"
        "        print(f'user-{n}')\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == chosen


def test_by_lot_each_call_is_drawn(app, staged, steps):
    chance = steps(0.1, 0.29, 0.3, 0.9)
    stage = staged(
        "plain", "ab", {"to": app.name("other_plain"), "share": 0.3}, following=lambda *values: "same", random=chance
    )
    assert [stage("x", 2, 3, (), {}) for _ in range(4)] == ["other", "other", "same", "same"]
    assert app.decisions("plain") == {"a": 2, "b": 2}


class Request:
    def __init__(self, user):
        self.user = user

    @property
    def current(self):
        return self.user

    @property
    def broken(self):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a", "u"),
        ("a.user", Request("u")),
        ("a.current.id", Request({"id": "u"})),
        ("a[1].id", [0, {"id": "u"}]),
        ("a.user[0]", {"user": ("u",)}),
    ],
)
def test_the_key_is_found_by_its_path(app, path, value):
    assert app.apply("plain", {"rollout": {"to": app.name("other_plain"), "key": path, "share": 1}}).reason == ""
    assert app.call("plain", value) == "other"


def test_a_key_among_further_keywords_is_found(app):
    app.apply("plain", {"rollout": {"to": app.name("other_plain"), "key": "user_id", "share": 1}})
    assert app.call("plain", 1, user_id=7) == "other"
    assert app.call("plain", 1)[0] == 1
    assert app.decisions("plain") == {"new": 1, "old no user_id": 1}


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("a", None, "a is None"),
        ("a", 1.5, "a is a float"),
        ("a", Request(1), "a is a Request"),
        ("a.user.id", Request(None), "no a.user.id"),
        ("a[3]", [1], "no a[3]"),
        ("a[0]", 5, "no a[0]"),
    ],
)
def test_a_caller_without_a_key_stays_with_the_original_and_is_counted(app, path, value, reason):
    app.apply("plain", {"ab": {"to": app.name("other_plain"), "key": path, "share": 1}})
    assert app.call("plain", value)[0] is value
    assert app.decisions("plain") == {f"a {reason}": 1}


def test_a_property_that_fails_leaves_the_original_in_place(app):
    app.apply("plain", {"ab": {"to": app.name("other_plain"), "key": "a.broken", "share": 1}})
    request = Request(1)
    assert app.call("plain", request)[0] is request
    assert app.runs == [request]


def test_keys_of_different_types_are_different_callers_and_never_run_foreign_code(app):
    class Loud(str):
        def __str__(self):
            raise AssertionError

        __repr__ = __hash__ = __eq__ = encode = __str__

    keys = [1, True, "1", b"1", uuid.UUID(int=1)]
    places = [sides(app, "ab", [key], share=0.5, salt=str(salt)) != set() for key in keys for salt in range(40)]
    rows = {tuple(places[i * 40 : (i + 1) * 40]) for i in range(len(keys))}
    assert len(rows) == len(keys)
    app.apply("plain", {"ab": {"to": app.name("other_plain"), "key": "a", "share": 1}})
    assert app.call("plain", Loud("x")) == "other"


@pytest.mark.parametrize("strategy", ["ab", "rollout"])
def test_a_key_that_names_no_parameter_is_refused_with_those_there_are(tmp_path, strategy):
    with application(tmp_path, "def f(a, b): ...\ndef g(a, b): ...") as (module, attachments):
        target = f"{module.__name__}:f"
        attachments.apply([hijack(target, {strategy: {"to": f"{module.__name__}:g", "key": "user_id"}})])
        reason = attachments.reports()[target].reason
    assert reason == f"{strategy}.key begins with user_id, but the parameters are a, b"
