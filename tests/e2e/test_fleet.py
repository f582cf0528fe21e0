"""Two collectors as processes, each with an application beside it, and one server at which they meet."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import BOOTSTRAP, Lab, request, until

from tests.collector.fleet.server import Server

SECRET = "a key that only the agents have"
PASSWORD = "the fleet's own password"
MOCK = {"target": "shop:price", "stages": [{"mock": {"value": {"item": "mocked"}}}], "owner": "ada"}


class Pod(Lab):
    """A collector of the fleet with one worker beside it, as in a pod."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack, server: Server) -> None:
        folder.mkdir()
        super().__init__(folder, stack)
        secret = folder / "password"
        secret.write_text(PASSWORD + "\n")
        self.fleet = {
            "MYSTIC_FLEET": server.url,
            "MYSTIC_FLEET_NAME": folder.name,
            "MYSTIC_FLEET_PASSWORD_FILE": str(secret),
        }

    def begin(self) -> None:
        self.start_collector(**self.fleet)

    def work(self) -> None:
        self.web = self.serve(workers=1, PYTHONPATH=str(BOOTSTRAP), MYSTIC_CACHE_KEY=SECRET)

    def mocked(self) -> bool:
        return bool(request(self.web, "GET", "/")[1]["item"] == "mocked")

    def put(self, body: Any = MOCK) -> Any:
        status, answer = self.api("POST", "/api/hijacks", body)
        assert status == 201, answer
        return answer

    def hijack(self, identity: str) -> Any:
        return self.api("GET", f"/api/hijacks/{identity}")[1]

    def seen(self) -> int:
        return sum(one["connected"] for one in self.api("GET", "/api/status")[1]["processes"])

    def version(self) -> int:
        return int(self.api("GET", "/api/hijacks")[1]["version"])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    one = Server(folder, "--requirepass", PASSWORD)
    one.start()
    yield one
    one.kill()


@pytest.fixture
def pods(tmp_path: Path, server: Server) -> Iterator[tuple[Pod, Pod]]:
    with contextlib.ExitStack() as stack:
        a, b = Pod(tmp_path / "pod-a", stack, server), Pod(tmp_path / "pod-b", stack, server)
        for one in (a, b):
            one.begin()
            one.work()
        until(lambda: a.processes() == b.processes() == 2, "both workers at both collectors")
        until(lambda: a.seen() == b.seen() == 4, "gunicorn's own processes, too")
        yield a, b


def test_a_hijack_at_one_collector_works_in_the_process_of_the_other_and_is_seen_from_both(
    pods: tuple[Pod, Pod], server: Server
) -> None:
    a, b = pods
    trial = a.api("POST", "/api/hijacks?dry_run=true", MOCK)[1]
    assert trial["summary"] == "1 function in 2 of 4 processes"  # two are gunicorn's own
    assert {one["collector"] for one in trial["processes"]} == {"pod-a", "pod-b"}
    made = a.put()
    until(b.mocked, "the hijack of the other collector")
    for one in pods:
        until(lambda one=one: one.hijack(made["id"])["progress"]["answered"] == 4, "the answer of all")
        told = one.hijack(made["id"])["progress"]["summary"]
        assert told == "attached in 2 of 4 processes; 2 have not loaded the module"
        status = one.api("GET", "/api/status")[1]
        assert {each["collector"] for each in status["processes"]} == {"pod-a", "pod-b"}
        here, other = status["fleet"]["collectors"]
        assert (here["name"], here["processes"], other["processes"]) == (one.folder.name, 2, 2)
        assert PASSWORD not in json.dumps(status)
        shown = one.mystic("status").stdout
        assert [shown.count(f" {each.folder.name}\n") for each in pods] == [2, 2], shown
        assert "at pod-a): attached" in one.mystic("explain", "shop:price").stdout
    b.api("POST", "/api/off", {"reason": "an incident"})
    until(lambda: not a.mocked() and not b.mocked(), "the switch in both")
    b.api("POST", "/api/on", {})
    until(lambda: a.mocked() and b.mocked(), "the end of it")
    undone = b.api("POST", "/api/hijacks/undo", {"to": 0})
    assert undone[0] == 200, undone
    until(lambda: not a.mocked(), "the undo in the process of the other")
    actions = [[line["action"] for line in one.api("GET", "/api/audit")[1]["audit"]] for one in pods]
    assert actions == [["undo", "on", "off", "add"]] * 2
    assert PASSWORD not in a.log.read_text() + b.log.read_text()


def test_what_one_process_has_computed_the_process_of_another_collector_serves(pods: tuple[Pod, Pod]) -> None:
    a, b = pods
    cache = {"target": "shop:price", "stages": [{"cache": {"ttl": "1h", "scope": "shared"}}], "owner": "ada"}
    made = a.put(cache)
    until(lambda: a.hijack(made["id"])["progress"]["attached"] == 2, "the cache in both")
    items = 0

    def served() -> bool:
        nonlocal items
        items += 1
        path = f"/?item=thing{items}"
        first = request(a.web, "GET", path)[1]
        again = request(b.web, "GET", path)[1]
        told = b.api("GET", "/api/metrics/shop:price")[1]["decisions"]
        return first["run"] == again["run"] and any(one["decision"] == "shared hit" for one in told)

    until(served, "a result of the other pod")


def test_a_collector_that_is_killed_leaves_the_rest_going_and_comes_back_to_what_there_is(
    pods: tuple[Pod, Pod],
) -> None:
    a, b = pods
    made = a.put()
    until(b.mocked, "the hijack")
    a.collector.kill()
    until(lambda: b.hijack(made["id"])["progress"]["processes"] == 2, "the other to go")
    assert b.mocked()
    assert b.api("DELETE", f"/api/hijacks/{made['id']}")[0] == 200
    until(lambda: not b.mocked(), "the release")
    a.begin()
    until(lambda: not a.mocked(), "the release in the other, when its collector is back")
    until(lambda: a.seen() == b.seen() == 4, "all again")


def test_while_the_server_is_gone_hijacks_stay_changes_are_refused_and_all_mends_itself(
    pods: tuple[Pod, Pod], server: Server
) -> None:
    a, b = pods
    a.put()
    until(b.mocked, "the hijack")
    server.kill()
    status, answer = b.api("POST", "/api/hijacks", {**MOCK, "target": "shop:tags"})
    assert status == 503
    assert "does not answer" in answer["error"]["message"]
    assert "MYSTIC_FLEET" in answer["error"]["message"]
    assert a.mocked() and b.mocked()  # noqa: PT018
    found = until(lambda: [one for one in doctor(a) if one["verdict"] == "fail"], "the finding")
    assert [one["about"] for one in found] == ["fleet"]
    assert a.api("GET", "/health")[0] == 200
    assert f"the fleet's server {server.url} does not answer" in a.mystic("status").stdout
    server.start()  # it has lost everything
    until(lambda: b.api("POST", "/api/off", {})[0] == 200, "a change again")
    until(lambda: not a.mocked() and not b.mocked(), "the change in both")
    assert a.version() == b.version() == 2
    until(lambda: a.seen() == b.seen() == 4, "the view of all again")
    until(lambda: "with pod-b at" in doctor(a)[-1]["detail"], "a healthy finding")


def doctor(pod: Pod) -> list[Any]:
    return list(pod.api("GET", "/api/doctor")[1]["findings"])


def test_versions_are_exact_when_both_collectors_change_at_once(pods: tuple[Pod, Pod]) -> None:
    each = 20

    def change(pod: Pod) -> None:
        for number in range(each):
            pod.put({**MOCK, "target": f"shop:f{number}"})

    threads = [threading.Thread(target=change, args=(pod,)) for pod in pods]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    until(lambda: all(pod.version() == 2 * each for pod in pods), "all versions at both")
    for pod in pods:
        audit = pod.api("GET", "/api/audit")[1]["audit"]
        assert sorted(line["version"] for line in audit) == list(range(1, 2 * each + 1))
