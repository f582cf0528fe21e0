"""The registry over each journal: what holds for one collector alone holds for each of a fleet."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mystic_agent.contract.errors import Invalid
from mystic_collector.hijacks.conflict import Conflict
from mystic_collector.hijacks.policy import Forbidden
from mystic_collector.hijacks.registry import Registry

CACHE = {"target": "app:slow", "stages": {"*": [{"cache": {"ttl": "30m"}}]}}
OTHER = {**CACHE, "target": "app:other"}


@pytest.fixture(params=["file", "fleet"])
def open_again(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Open the same registry as often as it is called."""
    if request.param == "fleet":
        return lambda: request.getfixturevalue("collector_at")("one")
    return lambda: Registry(tmp_path / "hijacks.db")


@pytest.fixture
def registry(open_again: Any) -> Iterator[Registry]:
    with contextlib.closing(open_again()) as found:
        yield found


def targets(registry: Registry) -> list[str]:
    return [str(one.target) for one in registry.snapshot().hijacks]


def test_every_change_is_a_version_and_a_line_of_the_audit(registry: Registry) -> None:
    one = registry.put(CACHE, actor="ada")
    registry.put({**CACHE, "reason": "longer"}, one.id, "bob")
    registry.renew(one.id, "2h", "cid")
    other = registry.put(OTHER, actor="dan")
    registry.remove(other.id, "eve")
    registry.switch(True, "shop", "fay", "is it us?")
    registry.switch(False, "shop", "fay")
    lines = registry.audit()
    assert [one["version"] for one in lines] == [7, 6, 5, 4, 3, 2, 1]
    assert [one["action"] for one in lines] == ["on", "off", "remove", "add", "renew", "replace", "add"]
    assert [one["actor"] for one in lines[-4:]] == ["dan", "cid", "bob", "ada"]
    assert [one["note"] for one in lines[1:2]] == ["is it us?"]
    assert (registry.snapshot().version, targets(registry), registry.snapshot().off) == (7, ["app:slow"], {})
    assert registry.audit(action="remove")[0]["before"]["target"] == "app:other"
    assert [len(rows) for rows in registry.changes(8, 3)] == [1, 1, 1]
    assert registry.oldest() == 0


def test_all_of_it_is_there_when_it_is_opened_again(open_again: Any) -> None:
    with contextlib.closing(open_again()) as first:
        one = first.put(CACHE)
        first.note_digests(one.id, {"app:slow": "d1"})
        first.put(OTHER)
        first.switch(True, "shop", reason="why")
    with contextlib.closing(open_again()) as second:
        assert (second.snapshot().version, targets(second)) == (3, ["app:slow", "app:other"])
        assert second.snapshot().off["shop"]["reason"] == "why"
        assert second.digests(one.id) == {"app:slow": "d1"}
        second.put(CACHE)
        assert second.snapshot().version == 4


def test_undo_goes_back_and_can_be_undone(registry: Registry) -> None:
    registry.put(CACHE)
    registry.put(OTHER)
    back, changes, left_out = registry.undo()
    assert (back, [one.hijack for one in changes] != [], left_out) == (1, True, [])
    assert targets(registry) == ["app:slow"]
    registry.undo(0)
    assert (targets(registry), registry.snapshot().version) == ([], 4)
    registry.undo(2)
    assert targets(registry) == ["app:slow", "app:other"]
    with pytest.raises(Invalid, match="nothing would change"):
        registry.undo(2)


def test_who_decided_on_an_older_state_is_told_and_nothing_changes(registry: Registry) -> None:
    one = registry.put(CACHE)
    registry.put(CACHE, one.id, seen=1)
    for late in (lambda: registry.put(CACHE, one.id, seen=1), lambda: registry.remove(one.id, seen=1)):
        with pytest.raises(Conflict):
            late()
    with pytest.raises(Conflict):
        registry.undo(seen=1)
    with pytest.raises(KeyError):
        registry.remove("nobody")
    assert registry.snapshot().version == 2


def test_a_refused_attempt_is_audited_and_makes_no_version(registry: Registry) -> None:
    with pytest.raises(Forbidden):
        registry.put({"target": "ssl:*", "stages": {"*": [{"mock": {"value": 1}}]}}, actor="mallory")
    [line] = registry.audit(action="denied")
    assert (line["actor"], line["after"]["target"], registry.snapshot().version) == ("mallory", "ssl:*", 0)


def test_whoever_listens_is_told_once_of_a_version(registry: Registry) -> None:
    told: list[int] = []
    undo = registry.listen(lambda: told.append(registry.snapshot().version))
    registry.put(CACHE)
    registry.put(OTHER, dry_run=True)
    registry.switch(True)
    registry.switch(True)
    undo()
    registry.switch(False)
    assert told == [1, 2]
