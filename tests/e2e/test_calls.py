"""Single calls of a served application, seen from outside."""

from __future__ import annotations

from typing import Any

from lab import BOOTSTRAP, Lab, request, until


def test_calls_in_forked_workers_are_logged_and_looked_into(lab: Lab) -> None:
    port = lab.serve(PYTHONPATH=str(BOOTSTRAP))
    until(lambda: lab.processes() == 2, "both workers")
    strategies = [{"log": {"result": True}}, {"snapshot": {"when": "item == 'tea'", "count": 2, "rate": 1000}}]
    status, added = lab.api("POST", "/api/hijacks", {"target": "shop:price", "stages": {"*": strategies}})
    assert status == 201, added

    def attached() -> bool:
        progress = lab.api("GET", f"/api/hijacks/{added['id']}")[1]["progress"]
        return str(progress["summary"]).startswith("attached in 2 of")

    until(attached, "the hijack")
    pids = set()
    for number in range(40):
        status, answer = request(port, "GET", f"/?item={'tea' if number % 2 else 'pen'}")
        assert status == 200
        pids.add(answer["pid"])

    def logged() -> Any:
        found = lab.api("POST", "/api/logs", {"function": "shop:price", "limit": 100})[1]["logs"]
        return found if len(found) == 40 else None

    records = until(logged, "the log records")
    assert all(one["captured"] and one["message"].startswith("shop:price(item='") for one in records)
    assert len({one["instance"] for one in records}) == len(pids)
    found = lab.api("POST", "/api/state/snapshots", {"function": "shop:price"})[1]["snapshots"]
    by_process: dict[str, list[int]] = {}
    for one in reversed(found):
        assert (one["arguments"]["item"], one["outcome"], one["of"]) == ("'tea'", "returned", 2)
        assert one["caller"][0]["function"] == "app"
        by_process.setdefault(one["instance"], []).append(one["number"])
    assert all(numbers == [1, 2][: len(numbers)] for numbers in by_process.values())
    assert by_process
    kinds = {one["kind"] for one in lab.api("GET", "/api/state/timeline?function=shop:price")[1]["timeline"]}
    assert kinds == {"snapshot", "change"}
