"""Recordings are kept at the collector over its restarts, bounded, shown as captured data, and loaded by agents."""

from __future__ import annotations

import queue
import sqlite3

import pytest
from mystic_agent.contract.codec import encode
from mystic_agent.contract.recording import Recorded
from mystic_agent.link import CollectorArchive, Destination
from mystic_agent.link import archive as link_archive
from mystic_collector.recordings import recordings
from mystic_collector.recordings.recordings import Kept, Recordings
from mystic_collector.store.protocol import StoreError

PATIENCE = 20.0


def outcome(n, function="app:quote", value=None, **fields):
    data = b"" if "error" in fields else encode({"total": n} if value is None else value)
    return Recorded(function, f"{n:064x}", data, call=f"n={n}", at=1000.0 + n, **fields)


@pytest.fixture
def store(tmp_path):
    made = Recordings(tmp_path / "recordings.db", most_bytes=20_000)
    yield made
    made.close()


def test_outcomes_come_back_as_they_were_and_outlive_a_restart(store, tmp_path):
    batch = [outcome(1), outcome(2, error="TimeoutError", message="late"), outcome(3, "app:other", value=(1, {2.5}))]
    assert store.keep([("real", one) for one in batch]) == Kept(3, 0)
    store.close()
    again = Recordings(tmp_path / "recordings.db", most_bytes=20_000)
    assert again.page("real").outcomes == batch
    assert again.page("real", "app:other").outcomes == batch[2:]
    again.close()


def test_a_later_outcome_of_a_call_replaces_the_earlier(store):
    store.keep([("real", outcome(1)), ("real", outcome(1, value="new")), ("other", outcome(1))])
    assert [one.value for one in store.page("real").outcomes] == [b'"new"']
    assert [one["count"] for one in store.listed()] == [1, 1]


def test_nothing_more_is_taken_than_there_is_room_for(store, monkeypatch):
    kept = store.keep([("real", outcome(n, value="x" * 1000)) for n in range(30)])
    assert kept.taken + kept.refused == 30
    assert 10 < kept.taken < 20
    assert store.delete("real") == kept.taken
    monkeypatch.setattr(recordings, "MOST_OF_ONE", 2)
    assert store.keep([("real", outcome(n)) for n in range(4)]) == Kept(2, 2)
    assert store.keep([("real", outcome(1, value="newer"))]) == Kept(1, 0)


def test_pages_go_on_where_the_last_one_ended(store, monkeypatch):
    store.keep([("real", outcome(n)) for n in range(7)])
    seen, after = [], 0
    while after is not None:
        page = store.page("real", after=after, limit=3)
        seen, after = seen + page.outcomes, page.next
    assert seen == [outcome(n) for n in range(7)]
    monkeypatch.setattr(recordings, "PAGE_BYTES", 1)
    assert len(store.page("real").outcomes) == 1


def test_a_batch_that_cannot_be_written_leaves_nothing(store, tmp_path):
    other = sqlite3.connect(tmp_path / "recordings.db", isolation_level=None)
    other.execute("drop table outcomes")
    with pytest.raises(StoreError, match="could not be kept"):
        store.keep([("real", outcome(1))])
    with pytest.raises(StoreError, match="cannot be read"):
        store.listed()
    other.close()


def test_people_see_recordings_as_captured_data_and_can_delete_them(collector):
    batch = [outcome(1), outcome(2, error="app.Refused", message="no")]
    body = {"entries": [{"recording": "real", **one.to_json()} for one in batch]}
    assert collector.post("/agent/v1/recordings/keep", body) == {"taken": 2, "refused": 0}
    [row] = collector.get("/api/recordings")["recordings"]
    assert (row["name"], row["functions"], row["count"], row["raised"]) == ("real", ["app:quote"], 2, 1)
    page = collector.get("/api/recordings/real", limit=1)
    assert (page["captured"], page["count"], page["outcomes"][0]["returned"]) == (True, 1, {"total": 1})
    page = collector.get("/api/recordings/real", after=page["next"])
    assert (page["outcomes"][0]["raised"], page["next"]) == ("app.Refused", None)
    assert collector.client.delete("/api/recordings/real").json() == {"name": "real", "removed": 2}
    for method in ("get", "delete"):
        assert getattr(collector.client, method)("/api/recordings/real").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"entries": [5]},
        {"entries": [{"recording": "real"}]},
        {"entries": [outcome(1).to_json()]},
        {"entries": [{"recording": "../x", **outcome(1).to_json()}]},
        {"entries": [{"recording": "real", **outcome(1).to_json(), "value": '{"":["os.system","ls"]}'}]},
        {"entries": [{}] * 300},
    ],
)
def test_what_is_no_outcome_is_refused_whole(collector, body):
    collector.post("/agent/v1/recordings/keep", body, 422)
    assert collector.get("/api/recordings")["count"] == 0


@pytest.mark.parametrize("body", [{}, {"recording": "r"}, {"recording": "r", "function": "a:b", "after": -1}])
def test_what_is_no_question_is_refused(collector, body):
    collector.post("/agent/v1/recordings/load", body, 422)


@pytest.fixture
def archives(collector):
    made = []

    def archive(port=None):
        host, own = collector.server.address
        made.append(CollectorArchive(Destination(host, port or own)))
        return made[-1]

    yield archive
    for one in made:
        one.stop(PATIENCE)


def loaded(archive, function="app:quote", most=10_000):
    came = queue.Queue()
    archive.load("real", function, most, came.put)
    return came.get(timeout=PATIENCE)


def test_what_one_process_records_another_loads(archives, monkeypatch):
    monkeypatch.setattr(recordings, "PAGE_BYTES", 2000)
    recorder, player = archives(), archives()
    batch = [outcome(n) for n in range(500)]
    for one in batch:
        recorder.keep("real", one)
    recorder.keep("real", outcome(1, "app:other"))
    recorder.stop(PATIENCE)
    assert (loaded(player), recorder.dropped) == (batch, 0)
    assert loaded(player, most=3) == batch[:3]
    assert loaded(player, "app:unknown") == []


def test_a_question_that_is_always_refused_holds_up_no_other(archives):
    recorder, player = archives(), archives()
    recorder.keep("real", outcome(1))
    recorder.stop(PATIENCE)
    player.load("", "app:quote", 10, pytest.fail)  # no name of a recording
    assert loaded(player) == [outcome(1)]


def test_what_does_not_fit_is_dropped_and_counted_while_no_collector_answers(archives, monkeypatch):
    monkeypatch.setattr(link_archive, "MOST_QUEUED_BYTES", 10_000)
    archive = archives(port=9)
    for n in range(100):
        archive.keep("real", outcome(n))
    archive.stop(PATIENCE)
    assert archive.dropped == 100


def test_a_forked_child_has_a_thread_of_its_own(archives):
    archive = archives()
    archive.keep("real", outcome(1))
    assert [one.call for one in loaded(archive)] == ["n=1"]
    archive.stop(PATIENCE)
    archive.reset()
    archive.keep("real", outcome(2))
    assert [one.call for one in loaded(archive)] == ["n=1", "n=2"]


def test_an_outcome_that_the_collector_refuses_is_dropped_and_the_next_one_kept(archives):
    archive = archives()
    archive.keep("../no name", outcome(1))
    assert loaded(archive) == []  # what is asked for comes after what is to be kept
    assert archive.dropped == 1
    archive.keep("real", outcome(2))
    assert loaded(archive) == [outcome(2)]
    assert archive.dropped == 1
