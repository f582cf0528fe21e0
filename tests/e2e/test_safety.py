"""Changes survive what happens to a fleet, and everything can be let go of at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lab import BOOTSTRAP, PATIENCE, Lab, request, until

APPLICATION = """
import json, os, sys

runs = 0

def price(item):
    global runs
    runs += 1
    return runs

def make():
    def inner():
        return 1
    return inner

inner, original = make(), (price.__code__, make.__code__)

def app(environ, start_response):
    inner()
    hooked = [f.__name__ for f in (price, make, inner, app) if "mystic" in f.__code__.co_filename.rpartition("/")[0]]
    same = (price.__code__, make.__code__) == original
    told = {"pid": os.getpid(), "price": price("pen"), "hooked": hooked, "original": same}
    body = json.dumps(told).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
"""
ALL = {"hooked": [], "original": True}


@pytest.fixture
def shop(lab: Lab) -> Lab:
    (lab.folder / "shop.py").write_text(APPLICATION)
    return lab


def told(port: int) -> dict[str, Any]:
    return request(port, "GET", "/")[1]


def cached(port: int) -> bool:
    return told(port)["price"] == told(port)["price"]


def hooked(port: int) -> bool:
    return "price" in told(port)["hooked"]


def released(port: int) -> bool:
    return {name: told(port)[name] for name in ALL} == ALL


def good(lab: Lab, *words: str) -> Any:
    done = lab.mystic(*words, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_off_puts_every_original_back_in_every_process_and_on_brings_everything_again(shop: Lab) -> None:
    port = shop.serve(workers=1, PYTHONPATH=str(BOOTSTRAP))
    until(lambda: shop.processes() == 1 and hooked(port), "the agent")
    good(shop, "hijack", "shop:price", "--cache", "ttl=1h")
    assert cached(port)
    good(shop, "off", "--reason", "an incident")
    until(lambda: released(port), "the release of everything")
    assert not cached(port)
    calls = until(lambda: shop.count("shop:app"), "the figures up to then")
    assert "an incident" in shop.mystic("status").stdout
    assert shop.api("GET", "/health")[1]["off"] == ["*"]

    shop.collector.kill()
    shop.collector.wait(PATIENCE)
    shop.start_collector()
    until(lambda: shop.processes() == 1 or shop.api("GET", "/api/status")[1]["processes"], "the process again")
    assert released(port)
    again = shop.serve(workers=1, PYTHONPATH=str(BOOTSTRAP))
    until(lambda: released(again), "a process that started while everything was off")
    assert shop.count("shop:app") <= calls + 5  # those of the new process before it had heard

    good(shop, "on")
    for each in (port, again):
        until(lambda each=each: cached(each) and hooked(each), "everything again")


def test_a_service_can_be_switched_off_alone(shop: Lab) -> None:
    mine = shop.serve(workers=1, PYTHONPATH=str(BOOTSTRAP))
    other = shop.serve(workers=1, PYTHONPATH=str(BOOTSTRAP), MYSTIC_SERVICE="stock")
    until(lambda: hooked(mine) and hooked(other) and shop.processes() == 2, "both services")
    good(shop, "off", "--service", "stock")
    until(lambda: released(other), "the release")
    assert hooked(mine)
    good(shop, "on", "--service", "stock")
    until(lambda: hooked(other), "the return")


def test_a_collector_with_the_variable_holds_everything_off(shop: Lab) -> None:
    shop.stop_collector()
    shop.start_collector(MYSTIC_OFF="true")
    port = shop.serve(workers=1, PYTHONPATH=str(BOOTSTRAP))
    until(lambda: shop.processes() or released(port), "the agent")
    until(lambda: released(port), "the release")
    refused = shop.mystic("on")
    assert refused.returncode == 2
    assert "MYSTIC_OFF" in refused.stderr
    shop.stop_collector()
    shop.start_collector()
    until(lambda: hooked(port), "the return")


def test_hijacks_outlive_a_killed_collector_and_a_restarted_application(shop: Lab) -> None:
    port = shop.serve(workers=1, PYTHONPATH=str(BOOTSTRAP))
    until(lambda: shop.processes() == 1, "the agent")
    good(shop, "hijack", "shop:price", "--cache", "ttl=1h")
    assert cached(port)
    shop.collector.kill()
    shop.collector.wait(PATIENCE)
    assert cached(port)  # the last good set stays
    again = shop.serve(workers=1, PYTHONPATH=str(BOOTSTRAP))
    until(lambda: hooked(again), "the agent of the restarted application")
    assert not cached(again)  # nobody could tell it to stop, so it does not start either
    shop.start_collector()
    until(lambda: cached(again), "the hijack in the restarted application")
    assert cached(port)
    assert [one["version"] for one in shop.api("GET", "/api/hijacks/history")[1]["history"]] == [1]


def test_a_lease_ends_on_time_although_the_collector_is_gone(shop: Lab) -> None:
    port = shop.serve(workers=1, PYTHONPATH=str(BOOTSTRAP))
    until(lambda: shop.processes() == 1, "the agent")
    good(shop, "hijack", "shop:price", "--cache", "ttl=1h", "--expires", "4s")
    assert cached(port)
    shop.collector.kill()
    shop.collector.wait(PATIENCE)
    until(lambda: not cached(port), "the end of the lease")
    assert hooked(port)


def test_a_process_refuses_strategies_that_it_is_not_to_use_and_says_so(shop: Lab) -> None:
    port = shop.serve(workers=1, PYTHONPATH=str(BOOTSTRAP), MYSTIC_ALLOWED_STRATEGIES="log,mock")
    until(lambda: shop.processes() == 1, "the agent")
    refused = shop.mystic("hijack", "shop:price", "--cache", "ttl=1h", "--format", "json")
    assert refused.returncode == 1, refused.stderr
    reasons = {failure["reason"] for failure in json.loads(refused.stdout)["progress"]["failures"]}
    assert reasons == {"cache is not among MYSTIC_ALLOWED_STRATEGIES, which are log, mock, observe"}
    assert not cached(port)
    good(shop, "hijack", "shop:price", "--mock", "value=7")
    assert told(port)["price"] == 7
