"""An unmodified service is seen and changed while it runs, in each of the ways to switch the agent on."""

from __future__ import annotations

import json

import pytest
from lab import BIN, BOOTSTRAP, Lab, request, until

WAYS = {
    "PYTHONPATH": ((), {"PYTHONPATH": str(BOOTSTRAP)}),
    "MYSTIC_ENABLED": ((), {"MYSTIC_ENABLED": "true"}),
    "mystic run": ((BIN / "mystic", "run", "--"), {}),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_request_is_one_counted_call_in_each_way_of_switching_on(lab: Lab, way: str) -> None:
    prefix, environment = WAYS[way]
    port = lab.serve(*prefix, **environment)
    answers = [request(port, "GET", "/?item=pen")[1] for _ in range(60)]
    until(lambda: lab.count("shop:price") >= 60, "all calls")
    assert lab.count("shop:price") == lab.count("shop:app") == 60
    assert {a["total"] for a in answers} == {3}
    assert "shop:price" in lab.mystic("status").stdout
    discovered = json.loads(lab.mystic("discover", "--format", "json").stdout)
    assert "shop:price" in str(discovered)


def test_a_cache_is_added_changed_and_removed_in_every_process_while_the_service_runs(lab: Lab) -> None:
    port = lab.serve(PYTHONPATH=str(BOOTSTRAP))
    until(lambda: lab.processes() == 2, "both workers")

    made = lab.mystic("hijack", "shop:price", "--cache", "ttl=1h", "--reason", "prices repeat", "--format", "json")
    assert made.returncode == 0, made.stderr
    assert "attached in 2 of" in lab.mystic("status").stdout, made.stdout
    cached = [request(port, "GET", "/?item=cup")[1] for _ in range(40)]
    assert all(a["run"] == cached_run(cached, a["pid"]) for a in cached)

    [hijack] = lab.api("GET", "/api/hijacks")[1]["hijacks"]
    changed = {"target": "shop:price", "stages": {"production": [{"cache": {"ttl": "1h"}}]}, "owner": "test"}
    assert lab.api("PUT", f"/api/hijacks/{hijack['id']}", changed)[0] == 200
    until(lambda: runs_again(port), "the change, which leaves this stage out, in both workers")

    replaced = lab.mystic("hijack", "shop:price", "--cache", "ttl=2h", "--replace", "--format", "json")
    assert (replaced.returncode, json.loads(replaced.stdout)["id"]) == (0, hijack["id"]), replaced.stderr
    until(lambda: not runs_again(port), "the cache again")
    released = lab.mystic("release", "shop:price")
    assert released.returncode == 0, released.stderr
    until(lambda: runs_again(port), "the release")
    assert lab.api("GET", "/api/hijacks")[1]["hijacks"] == []


def cached_run(answers: list[dict], pid: int) -> int:
    return next(a["run"] for a in answers if a["pid"] == pid)


def runs_again(port: int) -> bool:
    """True when no worker serves the same result twice."""
    runs = [(a["pid"], a["run"]) for a in (request(port, "GET", "/?item=again")[1] for _ in range(12))]
    return len(set(runs)) == len(runs)


def test_a_restarted_collector_has_lost_no_hijack_and_no_call(lab: Lab) -> None:
    port = lab.serve(PYTHONPATH=str(BOOTSTRAP))
    until(lambda: lab.processes() == 2, "the processes")
    assert lab.mystic("hijack", "shop:price", "--cache", "ttl=1h").returncode == 0
    for _ in range(10):
        request(port, "GET", "/?item=a")
    until(lambda: lab.count("shop:app") == 10, "the first calls")
    lab.stop_collector()
    for _ in range(25):
        request(port, "GET", "/?item=a")
    lab.start_collector()
    until(lambda: lab.count("shop:app") >= 35, "the calls made while the collector was away")
    assert lab.count("shop:app") == lab.count("shop:price") == 35
    assert [h["target"] for h in lab.api("GET", "/api/hijacks")[1]["hijacks"]] == ["shop:price"]
    assert not runs_again(port)
    until(lambda: lab.processes() == 2, "the processes, without a restart of theirs")


def test_an_impossible_hijack_is_named_with_its_reason_and_changes_nothing(lab: Lab) -> None:
    port = lab.serve(PYTHONPATH=str(BOOTSTRAP))
    until(lambda: lab.processes() == 2, "the processes")
    refused = lab.mystic("hijack", "shop:tags", "--cache", "ttl=1h")
    assert "generator" in refused.stdout + refused.stderr
    wrong = lab.mystic("hijack", "shop:price", "--cache", "ttl=soon")
    assert wrong.returncode == 2
    assert "'soon'" in wrong.stderr
    status, body = lab.api("POST", "/api/hijacks", {"target": "shop:price", "stages": [{"cash": {}}]})
    assert (status, body["error"]["value"]) == (422, "'cash'")
    assert runs_again(port)


def test_a_restarted_application_has_its_hijacks_again(lab: Lab) -> None:
    assert lab.mystic("hijack", "shop:price", "--cache", "ttl=1h").returncode == 0
    port = lab.serve(PYTHONPATH=str(BOOTSTRAP))
    until(lambda: not runs_again(port), "the cache in a service that started after it was asked for")
