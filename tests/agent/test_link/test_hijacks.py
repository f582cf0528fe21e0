"""Hijacks on their way down, and reports of what became of them."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit


def hijack(identity: str, **more):
    return {"id": identity, "target": "shop:buy", "stages": {"*": [{"observe": {}}]}, **more}


def test_a_set_is_applied_when_it_is_pushed_and_the_stream_asks_for_this_process(collector, owner, linked) -> None:
    collector.greeting = []
    linked(collector.port, stage="staging & more", api_key="s3cret")
    collector.wait(lambda: collector._streams)

    collector.push_set(7, hijack("a"), hijack("b"))

    assert owner.applied.get(timeout=10) == (7, ["a", "b"], [])
    [asked] = collector.asked
    assert urlsplit(asked.path).path == "/agent/v1/hijacks"
    assert parse_qs(urlsplit(asked.path).query) == {
        "service": ["shop"],
        "instance": ["one"],
        "stage": ["staging & more"],
    }
    assert asked.headers["X-Mystic-Key"] == "s3cret"


def test_one_invalid_hijack_is_rejected_by_id_and_the_others_apply(collector, owner, linked, event) -> None:
    bad = [hijack("x", stages={"*": [{"explode": {}}]}), hijack("a"), 5, hijack("", target="m:f")]
    collector.greeting = [event(1, hijack("a"), *bad, hijack("b"))]

    linked(collector.port)

    version, applied, rejected = owner.applied.get(timeout=10)
    assert (version, applied) == (1, ["a", "b"])
    assert [identity for identity, _ in rejected] == ["x", "a", "#3", "#4"]
    assert "unknown strategy" in rejected[0][1]
    assert "id of its own" in rejected[1][1]


def test_garbage_on_the_stream_keeps_the_last_good_set_and_the_stream(collector, owner, linked, event) -> None:
    garbage = [
        b"event: hijacks\ndata: {]\n\n",
        b"event: hijacks\ndata: 5\n\n",
        b'event: hijacks\ndata: {"version": true, "hijacks": []}\n\n',
        b'event: hijacks\ndata: {"version": 2, "hijacks": {}}\n\n',
        b"event: hijacks\ndata: " + b"[" * 100_000 + b"\n\n",
        b'event: hijacks\ndata: {"version": NaN, "hijacks": []}\n\n',
        b"\xff\xfe\x00\n\n: comment\nretry: 1\nunknown\n\n",
        b"event: other\ndata: {}\n\n",
    ]
    collector.greeting = [event(1, hijack("a")), *garbage, event(3, hijack("c"))]

    linked(collector.port)

    assert owner.applied.get(timeout=10)[:2] == (1, ["a"])
    assert owner.applied.get(timeout=10)[:2] == (3, ["c"])
    assert [owner.faults.get(timeout=10)[0] for _ in range(6)] == ["link.hijacks"] * 6
    assert len(collector.asked) == 1


def test_an_event_of_many_megabytes_ends_the_stream_and_it_is_joined_again(collector, owner, linked, event) -> None:
    collector.greeting = [event(1, hijack("a"))]
    linked(collector.port)
    assert owner.applied.get(timeout=10)[0] == 1

    for _ in range(5):
        collector.push(b"data: " + b"x" * 2**20)

    assert owner.faults.get(timeout=10)[0] == "link.listen"
    collector.wait(lambda: len(collector.asked) == 2)
    assert owner.applied.get(timeout=10)[0] == 1


def test_after_a_restart_the_set_arrives_again_and_the_report_is_complete(
    collector, owner, linked, restart, event
) -> None:
    collector.greeting = [event(1, hijack("a"))]
    link = linked(collector.port)
    assert owner.applied.get(timeout=10)[0] == 1
    collector.wait(lambda: collector.of("/agent/v1/report"))
    assert link.connected
    collector.close()

    again = restart(collector.port)
    again.wait(lambda: again._streams)
    again.push_set(2, hijack("b"))

    assert owner.applied.get(timeout=10)[:2] == (2, ["b"])
    again.wait(lambda: again.of("/agent/v1/report"))
    report = json.loads(again.of("/agent/v1/report")[0].body)
    assert report["complete"] is True


def test_a_report_that_was_not_taken_is_followed_by_a_complete_one(collector, owner, linked, answer) -> None:
    refusals = [answer(503), answer(503)]
    collector.answer = lambda posted: refusals.pop() if "report" in posted.path and refusals else answer()

    linked(collector.port)

    collector.wait(lambda: len(collector.of("/agent/v1/report")) >= 3)
    assert owner.reports[:3] == [True, True, True]
    collector.wait(lambda: False in owner.reports)


def test_a_report_is_posted_as_soon_as_a_set_was_applied(collector, owner, linked) -> None:
    linked(collector.port, interval=3600)
    collector.wait(lambda: collector.of("/agent/v1/report") and collector._streams)

    collector.push_set(1)
    owner.applied.get(timeout=10)

    collector.wait(lambda: len(owner.reports) >= 2)
    assert False in owner.reports


def test_a_failing_owner_costs_neither_the_stream_nor_the_telemetry(collector, owner, linked, event) -> None:
    def fail(*_):
        raise RuntimeError

    owner.apply = fail
    owner.report = fail
    collector.greeting = [event(1), event(2)]

    link = linked(collector.port)

    collector.wait(lambda: {where for where, _ in list(owner.faults.queue)} == {"link.apply", "link.report"})
    assert link.flush(10)
    assert link.connected


def test_a_failing_collect_is_told_and_tried_again(collector, owner, linked) -> None:
    collect, owner.collect = owner.collect, lambda: 1 / 0
    link = linked(collector.port)
    where, error = owner.faults.get(timeout=10)
    assert (where, type(error)) == ("link.collect", ZeroDivisionError)
    assert not link.flush(10)

    link._collect = collect
    assert link.flush(10)
