"""Several collectors at one server: one set, one count of versions, and what happens when the server goes away."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mystic_collector.hijacks import fleet_journal
from mystic_collector.hijacks.conflict import Conflict
from mystic_collector.hijacks.policy import Policy
from mystic_collector.hijacks.registry import Registry
from mystic_collector.store.protocol import StoreError

from .server import Server
from .test_registry import CACHE, OTHER, targets

Open = Callable[..., Registry]


def lines(registry: Registry) -> list[tuple[Any, ...]]:
    return [(one["version"], one["action"], one["hijack"], one["actor"]) for one in registry.audit()]


def test_a_change_at_one_collector_is_the_others_too_with_its_audit(collector_at: Open) -> None:
    a, b = collector_at("a"), collector_at("b")
    one = a.put(CACHE, actor="ada")
    a.note_digests(one.id, {"app:slow": "d1"})
    assert b.catch_up()
    assert not b.catch_up()
    assert (targets(b), b.digests(one.id)) == (["app:slow"], {"app:slow": "d1"})
    b.renew(one.id, "5h", "bob")
    b.switch(True, actor="bob")
    a.catch_up()
    assert a.snapshot() == b.snapshot()
    assert lines(a) == lines(b)
    a.switch(False)
    assert b.undo(0)[0] == 0  # caught up by itself
    assert b.snapshot().version == 5


def test_versions_are_exact_when_all_change_at_once(collector_at: Open) -> None:
    each, collectors = 15, [collector_at(name) for name in "abc"]
    failed: list[BaseException] = []

    def change(registry: Registry, name: str) -> None:
        try:
            for number in range(each):
                registry.put({**CACHE, "target": f"app:{name}{number}"}, actor=name)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=change, args=(one, f"c{i}_")) for i, one in enumerate(collectors)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not failed
    for one in collectors:
        one.catch_up()
        assert one.snapshot() == collectors[0].snapshot()
        assert sorted(line[0] for line in lines(one)) == list(range(1, 3 * each + 1))
    assert len(targets(collectors[0])) == 3 * each


def test_of_two_who_decide_on_the_same_state_one_is_told_of_the_conflict(collector_at: Open) -> None:
    a, b = collector_at("a"), collector_at("b")
    one = a.put(CACHE)
    b.catch_up()
    a.put({**CACHE, "reason": "first"}, one.id, seen=1)
    with pytest.raises(Conflict) as caught:
        b.put({**CACHE, "reason": "second"}, one.id, seen=1)
    assert caught.value.current is not None
    assert (caught.value.version, caught.value.current["reason"]) == (2, "first")
    a.remove(one.id)
    with pytest.raises(KeyError):
        b.renew(one.id)
    assert b.remove(b.put(OTHER).id, seen=4).target


def test_a_lease_ends_once_whoever_is_first(collector_at: Open) -> None:
    now = [1000.0]
    a, b = (collector_at(name, clock=lambda: now[0]) for name in "ab")
    a.put({**CACHE, "expires_in": "1h"})
    b.catch_up()
    now[0] += 4000
    assert len(a.expire() + b.expire()) == 1
    assert [one["action"] for one in b.audit()] == ["expire", "add"]


def test_a_refused_attempt_stands_in_the_audit_of_all(collector_at: Open) -> None:
    a, b = collector_at("a"), collector_at("b")
    with pytest.raises(ValueError, match="guards secrets"):
        a.put({"target": "ssl:*", "stages": {"*": [{"mock": {"value": 1}}]}}, actor="mallory")
    b.catch_up()
    assert [one["actor"] for one in b.audit(action="denied")] == ["mallory"]
    assert len(a.audit()) == 1


def test_one_that_comes_later_gets_the_set_and_its_history(collector_at: Open) -> None:
    a = collector_at("a")
    one = a.put(CACHE)
    a.put(OTHER)
    a.remove(one.id)
    a.note_digests(a.snapshot().hijacks[0].id, {"app:other": "d"})
    late = collector_at("late")
    late.catch_up()
    assert (late.snapshot(), lines(late)) == (a.snapshot(), lines(a))
    assert late.digests(late.snapshot().hijacks[0].id) == {"app:other": "d"}
    late.undo(2)
    assert targets(late) == ["app:slow", "app:other"]


def test_one_that_was_away_for_longer_than_the_log_goes_on_with_the_state(
    collector_at: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_journal, "MOST_LOGGED", 1)
    a, b = collector_at("a"), collector_at("b")
    a.put(CACHE)
    b.catch_up()
    for number in range(300):  # the server trims a hundred at a time
        a.put({**OTHER, "target": f"app:f{number % 3}"}, a.snapshot().hijacks[0].id)
    b.catch_up()
    assert b.snapshot() == a.snapshot()
    b.put(CACHE)
    assert b.snapshot().version == 302


# -- the server away, and back ----------------------------------------------------------------------------------------


def test_while_the_server_is_away_hijacks_stay_and_changes_say_what_to_do(collector_at: Open, server: Server) -> None:
    a = collector_at("a")
    one = a.put(CACHE)
    server.kill()
    for attempt in (lambda: a.put(OTHER), lambda: a.remove(one.id), lambda: a.switch(True), a.undo, a.catch_up):
        with pytest.raises(StoreError, match=r"redis://127.0.0.1:\d+/0 does not answer .*MYSTIC_FLEET"):
            attempt()
    with pytest.raises(ValueError, match="guards secrets"):
        a.put({"target": "ssl:*", "stages": {"*": [{"mock": {"value": 1}}]}})
    assert (targets(a), a.snapshot().version) == (["app:slow"], 1)
    assert [line["action"] for line in a.audit()] == ["denied", "add"]
    again = collector_at("a")
    assert targets(again) == ["app:slow"]


def test_a_server_that_has_lost_all_gets_it_back_with_the_newest(collector_at: Open, server: Server) -> None:
    a, b = collector_at("a"), collector_at("b")
    a.put(CACHE)
    b.catch_up()
    b.put(OTHER)  # a does not know yet
    server.kill()
    server.start()
    until_answering(a)
    a.catch_up()
    until_answering(b)
    b.catch_up()
    a.catch_up()
    assert targets(a) == targets(b) == ["app:slow", "app:other"]
    assert a.snapshot() == b.snapshot()
    assert a.snapshot().version == 2
    assert lines(a) == lines(b)
    late = collector_at("late")
    late.catch_up()
    assert lines(late) == lines(a)


def test_a_server_that_comes_back_with_an_older_state_is_brought_up_to_date(
    collector_at: Open, server: Server, meet: Any
) -> None:
    a, b = collector_at("a"), collector_at("b")
    one = a.put(CACHE)
    b.catch_up()
    meet().ask(lambda client: client.save())
    a.put(OTHER)
    a.remove(one.id)
    a.switch(True, "shop")
    server.kill()
    server.start()
    until_answering(b)
    b.catch_up()
    assert b.snapshot().version == 1
    until_answering(a)
    a.catch_up()
    b.catch_up()
    assert (targets(a), a.snapshot().version) == (["app:other"], 4)
    assert a.snapshot() == b.snapshot()
    assert lines(a) == lines(b)
    assert b.undo(1)[0] == 1


def test_an_empty_collector_that_is_first_at_an_empty_server_takes_nothing_away(
    collector_at: Open, server: Server
) -> None:
    a = collector_at("a")
    a.put(CACHE)
    server.kill()
    server.start()
    new = collector_at("new")
    new.catch_up()
    until_answering(a)
    a.catch_up()
    new.catch_up()
    assert targets(a) == targets(new) == ["app:slow"]


def test_of_two_histories_the_servers_is_in_force_and_the_other_is_kept_beside(
    collector_at: Open, server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = collector_at("a"), collector_at("b")
    a.put(CACHE)
    b.catch_up()
    mine = b.put(OTHER)
    server.kill()
    server.start()
    until_answering(a)
    a.put({**OTHER, "target": "app:third"})  # version 2, too
    until_answering(b)
    with caplog.at_level(logging.WARNING):
        assert b.catch_up()
    assert targets(b) == ["app:slow", "app:third"]
    assert f"hijacks {mine.id} were in force here alone" in caplog.text
    with closing(sqlite3.connect(tmp_path / "b" / "fleet.before.db")) as kept:
        assert kept.execute("select count(*) from hijacks where id = ?", (mine.id,)).fetchone() == (1,)


def test_a_collectors_own_set_begins_the_fleet_and_is_left_as_it_was(collector_at: Open, tmp_path: Path) -> None:
    for name, target in (("a", "app:first"), ("b", "app:second")):
        (tmp_path / name).mkdir()
        with closing(Registry(tmp_path / name / "hijacks.db")) as island:
            island.put({**CACHE, "target": target}, actor=name)
    a = collector_at("a")
    a.catch_up()
    b = collector_at("b")
    b.catch_up()
    assert targets(a) == targets(b) == ["app:first"]
    assert [line[3] for line in lines(b)] == ["a"]
    with closing(Registry(tmp_path / "b" / "hijacks.db")) as island:
        assert targets(island) == ["app:second"]


def test_what_somebody_plants_at_the_server_is_not_in_force(collector_at: Open, server: Server, meet: Any) -> None:
    a = collector_at("a")
    one = a.put({**CACHE, "stages": {"*": [{"mock": {"value": 1}}]}})
    planted = json.dumps({**one.to_json(), "target": "hmac:compare_digest"})
    meet().ask(lambda client: client.hset("{mystic}:hijacks", one.id, planted))
    meet().ask(lambda client: client.delete("{mystic}:log"))
    new = collector_at("new")
    new.catch_up()
    assert targets(new) == []
    assert "guards secrets" in dict(new.unread)[one.id]
    strict = collector_at("strict", policy=Policy(allowed=frozenset({"observe"})))
    strict.catch_up()
    assert targets(strict) == []
    meet().ask(lambda client: client.xadd("{mystic}:log", {"kind": "change", "body": "rubbish"}))
    meet().ask(lambda client: client.hset("{mystic}:meta", "version", 9))
    a.catch_up()
    assert a.snapshot().version == 9


def until_answering(registry: Registry) -> None:
    """Wait for the pause after a failure to end."""
    deadline = time.monotonic() + 20
    while True:
        try:
            registry._journal._server.ask(lambda client: client.ping())  # type: ignore[attr-defined]
            return
        except StoreError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
