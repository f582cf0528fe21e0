"""What a hijack changed is measured in real processes, exact to the call on both sides."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from lab import BOOTSTRAP, Lab, request, until

SHOP = """
import json, time

DELAY = 0.02
failures = 0

def price(item):
    global failures
    time.sleep(DELAY)
    if item == "broken":
        failures += 1
        raise LookupError(item)
    return len(item)

def app(environ, start_response):
    item = environ["PATH_INFO"].strip("/")
    try:
        body = json.dumps(price(item)).encode()
    except LookupError:
        body = b"null"
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
"""


def shop(lab: Lab, **more: Any) -> int:
    (lab.folder / "shop.py").write_text(SHOP)
    workers = more.pop("workers", 1)
    port = lab.serve(PYTHONPATH=str(BOOTSTRAP), workers=workers, **more)
    until(lambda: lab.processes() == workers, "the workers")
    return port


def buy(port: int, *items: str) -> None:
    for item in items:
        request(port, "GET", f"/{item}")


def change(lab: Lab, method: str, path: str, strategies: Any, **more: Any) -> dict[str, Any]:
    body = {"target": "shop:price", "stages": {"*": strategies}, "owner": "ada", **more}
    status, put = lab.api(method, path, body)
    assert status in (200, 201), put
    until(lambda: settled(lab, put["id"]), "the hijack in every process")
    return put


def settled(lab: Lab, identity: str) -> bool:
    progress = lab.api("GET", f"/api/hijacks/{identity}")[1]["progress"]
    return bool(progress["answered"] == progress["processes"] > 0)


def impact(lab: Lab, identity: str) -> dict[str, Any]:
    status, found = lab.api("GET", f"/api/hijacks/{identity}/impact")
    assert status == 200, found
    return found


def row(lab: Lab, identity: str, version: int = 0) -> dict[str, Any]:
    rows = impact(lab, identity)["versions"][version]["functions"]
    return rows[0] if rows else {"before": {"call_count": 0}, "after": {"call_count": 0}}


def test_both_sides_have_their_exact_calls_errors_and_hits_also_when_the_hijack_is_released(
    lab: Lab,
) -> None:
    port = shop(lab, workers=2)
    buy(port, *["tea"] * 40, *["broken"] * 6)
    put = change(lab, "POST", "/api/hijacks", [{"cache": {"ttl": "1h"}}])
    buy(port, *["tea"] * 60)
    until(lambda: row(lab, put["id"])["after"]["call_count"] == 60, "the calls after")
    found = row(lab, put["id"])
    assert (found["before"]["call_count"], found["before"]["exceptions"]) == (46, 6)
    assert (found["after"]["exceptions"], found["after"]["hits"] + found["after"]["misses"]) == (0, 60)
    assert found["after"]["misses"] == found["after"]["processes"] == found["before"]["processes"] == 2
    assert found["before"]["avg_time"] >= 0.02 > found["after"]["avg_time"]
    assert found["before"]["p50"] >= 0.01 > found["after"]["p50"]
    assert found["change"]["time"]["verdict"] == "faster"
    assert found["change"]["saved_low"] <= found["change"]["saved_time"] <= found["change"]["saved_high"]
    assert found["change"]["saved_time"] >= 0.5 * 60 * 0.02

    assert lab.mystic("release", "shop:price").returncode == 0
    until(lambda: lab.api("GET", "/api/hijacked")[1]["count"] == 0, "the release")
    buy(port, *["tea"] * 30)
    until(lambda: lab.count("shop:price") == 136, "the calls after the release")
    again = impact(lab, put["id"])
    assert again["released_at"] is not None
    assert again["versions"][0]["functions"][0]["after"]["call_count"] in range(
        60, 91
    )  # until each process heard of it
    text = lab.mystic("impact", "price").stdout
    assert "faster by" in text
    assert "released" in text
    listed = json.loads(lab.mystic("impact", put["id"], "--format", "json").stdout)
    assert [one["id"] for one in listed["impacts"]] == [put["id"]]


def test_a_replaced_hijack_is_told_version_by_version_against_the_same_before(lab: Lab) -> None:
    port = shop(lab)
    buy(port, *["tea"] * 25)
    put = change(lab, "POST", "/api/hijacks", [{"cache": {"ttl": "1h"}}])
    buy(port, *["tea"] * 30)
    until(lambda: row(lab, put["id"])["after"]["call_count"] == 30, "the calls under the first version")
    change(lab, "PUT", f"/api/hijacks/{put['id']}", [{"mock": {"value": 9}}])
    until(lambda: len(impact(lab, put["id"])["versions"][1]["functions"]) == 1, "the second version")
    buy(port, *["tea"] * 35)
    until(lambda: row(lab, put["id"], 1)["after"]["call_count"] == 35, "the calls under the second version")
    first, second = row(lab, put["id"]), row(lab, put["id"], 1)
    assert (first["strategies"], second["strategies"]) == (["cache"], ["mock"])
    assert first["before"]["call_count"] == second["before"]["call_count"] == 25
    assert (first["after"]["call_count"], first["after"]["hits"]) == (30, 29)
    assert (second["after"]["hits"], second["after"]["decisions"]) == (0, {"mock/value": 35})


def test_too_few_calls_are_said_to_be_too_few(lab: Lab) -> None:
    port = shop(lab)
    buy(port, "tea", "tea")
    put = change(lab, "POST", "/api/hijacks", [{"cache": {"ttl": "1h"}}])
    buy(port, "tea", "tea", "tea")
    until(lambda: row(lab, put["id"])["after"]["call_count"] == 3, "the calls after")
    told = row(lab, put["id"])["change"]
    assert (told["time"]["verdict"], told["saved_time"]) == ("unclear", None)
    assert told["time"]["why"] == "too few calls: 2 before and 3 after, where 20 are needed"
    assert "too few calls" in lab.mystic("impact").stdout
    assert lab.api("GET", "/api/hijacks/none/impact")[0] == 404
    assert lab.mystic("impact", "no:such").returncode == 2


def test_before_are_the_processes_that_ended_where_none_lived_when_the_hijack_came(lab: Lab) -> None:
    outer = lab.stack
    with contextlib.ExitStack() as lab.stack:
        buy(shop(lab), *["tea"] * 22)
        until(lambda: lab.count("shop:price") == 22, "the calls of the first process")
    lab.stack = outer
    until(lambda: lab.processes() == 0, "the end of the first process")
    body = {"target": "shop:price", "stages": {"*": [{"cache": {"ttl": "1h"}}]}, "owner": "ada"}
    identity = lab.api("POST", "/api/hijacks", body)[1]["id"]
    buy(shop(lab), *["tea"] * 24)
    until(lambda: row(lab, identity)["after"]["call_count"] == 24, "the calls of the second process")
    found = row(lab, identity)
    assert (found["before"]["call_count"], found["before"]["earlier_processes"]) == (22, True)
    assert found["change"]["time"]["verdict"] == "faster"
