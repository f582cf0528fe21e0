"""Hijacks of every kind come and go a thousand times in a process under load: no result is wrong, no call uncounted."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
from typing import Any

from lab import PATIENCE, Lab, until
from service import Service

APPLICATION = """
import threading

lock, runs = threading.Lock(), 0

def price(item):
    global runs
    with lock:
        runs += 1
    return len(item) * 3

def price_by_table(item):
    return len(item) * 3

ORIGINAL = price.__code__

def serve(item):
    return {"runs": runs, "original": price.__code__ is ORIGINAL} if item == "figures" else price(item)
"""
TO = {"to": "shop:price_by_table"}
MIX: list[list[dict[str, Any]]] = [
    [{"cache": {"ttl": "1h"}}],
    [{"mock": {"value": 9}}],
    [{"ab": TO}, {"retry": {}}],
    [{"block": {"value": 9}}],
    [{"rate_limit": {"rate": 1_000_000}}, {"circuit_breaker": {}}, {"cache": {"ttl": "1ms"}}],
    [{"shadow": {**TO, "window": 0, "minimum": 5, "slower": 1000, "least": "5m"}}],
    [{"rollout": {**TO, "key": "item", "share": 1}}],
    [{"log": {"level": "debug"}}, {"record": {"name": "load"}}],
    [{"replay": {"recording": "load"}}],
    [{"fault": {"share": 0, "exception": "ValueError"}}, {"redirect": TO}],
]
CHANGES, CLIENTS = 1000, 4
INSTEAD = {
    ("mock", "value"),
    ("block", "returned"),
    ("ab", "b"),
    ("rollout", "new"),
    ("redirect", "redirected"),
    ("replay", "replayed"),
    ("shadow", "canary"),
    ("shadow", "full"),
    *(("cache", outcome) for outcome in ("hit", "stale", "joined", "shared hit")),
}
"""Decisions by which a call never reaches the function."""


class Client(threading.Thread):
    """Asks without a pause until it is told to stop; remembers what was wrong."""

    def __init__(self, port: int, over: threading.Event) -> None:
        super().__init__()
        self.port, self.over = port, over
        self.asked = 0
        self.wrong: list[Any] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        while not self.over.is_set():
            connection.request("GET", "/?item=pen")
            answer = json.loads(connection.getresponse().read())
            self.asked += 1
            if answer != {"returned": 9}:
                self.wrong.append(answer)
        connection.close()


def change(lab: Lab, number: int) -> None:
    """Put one hijack on the function and take it off again."""
    connection = http.client.HTTPConnection("127.0.0.1", lab.port, timeout=PATIENCE)
    body = {"target": "shop:price", "stages": MIX[number % len(MIX)], "owner": "test", "expires_in": "1h"}
    connection.request("POST", "/api/hijacks", json.dumps(body), {"Content-Type": "application/json"})
    reply = connection.getresponse()
    made = json.loads(reply.read())
    assert reply.status == 201, made
    connection.request("DELETE", f"/api/hijacks/{made['id']}")
    reply = connection.getresponse()
    assert (reply.status, bool(reply.read())) == (200, True)
    connection.close()


def test_a_thousand_hijacks_applied_and_undone_under_load_leave_exact_figures_and_the_original_code(lab: Lab) -> None:
    (lab.folder / "shop.py").write_text(APPLICATION)
    service = Service(lab, "shop:serve", MYSTIC_OVERHEAD_BUDGET="0")
    over = threading.Event()
    clients = [Client(service.port, over) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    numbers = itertools.count()
    changers = [
        threading.Thread(target=lambda: [change(lab, next(numbers)) for _ in range(CHANGES // 4)]) for _ in "1234"
    ]
    try:
        for changer in changers:
            changer.start()
        for changer in changers:
            changer.join()
    finally:
        over.set()
        for client in clients:
            client.join(PATIENCE)
    asked = sum(client.asked for client in clients)
    assert ([client.wrong[:3] for client in clients], next(numbers)) == ([[]] * CLIENTS, CHANGES)
    assert lab.api("GET", "/api/hijacks")[1]["count"] == 0

    until(lambda: lab.count("shop:price") >= asked, "all calls")
    assert lab.count("shop:price") == asked
    decisions = lab.api("GET", "/api/metrics/shop:price")[1]["decisions"]
    instead = sum(one["count"] for one in decisions if (one["strategy"], one["decision"]) in INSTEAD)
    assert instead > 0
    assert len({one["strategy"] for one in decisions}) > len(MIX) / 2
    assert service.call(item="figures")["returned"]["runs"] == asked - instead

    assert lab.api("POST", "/api/off", {"reason": "the end"})[0] == 200
    until(lambda: service.call(item="figures")["returned"]["original"], "the original code")
    assert service.call(item="pen") == {"returned": 9}
