"""What is seen of a cluster follows it through ends, errors and gaps of the watch, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import queue
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from kubernetes import client
from mystic_collector.servers.errors import EngineUnavailable
from mystic_collector.sidecar.cluster import Cluster
from mystic_collector.sidecar.pods import Pods

pytestmark = pytest.mark.anyio
PATIENCE = 20.0


def pod(name: str, version: int, uid: str = "", **meta: Any) -> dict[str, Any]:
    labels = {"mystic.io/role": "main"}
    return {
        "metadata": {"name": name, "uid": uid or name, "resourceVersion": str(version), "labels": labels, **meta},
        "spec": {"containers": [{}]},
    }


class Api:
    """As much of an API server as a watch needs: it answers what the test puts in, in order."""

    def __init__(self) -> None:
        self.answers: queue.Queue[tuple[int, list[Any]]] = queue.Queue()
        self.asked: queue.Queue[dict[str, list[str]]] = queue.Queue()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                asked = parse_qs(urlsplit(self.path).query)
                api.asked.put(asked)
                status, lines = api.answers.get(timeout=PATIENCE)
                body = b"".join(json.dumps(one).encode() + b"\n" for one in lines)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def lists(self, version: int, *pods: dict[str, Any]) -> None:
        self.answers.put((200, [{"metadata": {"resourceVersion": str(version)}, "items": list(pods)}]))

    def tells(self, *events: tuple[str, Any]) -> None:
        self.answers.put((200, [{"type": kind, "object": found} for kind, found in events]))

    def fails(self, status: int, message: str) -> None:
        self.answers.put((status, [{"kind": "Status", "code": status, "message": message}]))

    async def question(self) -> dict[str, str]:
        found = await asyncio.to_thread(self.asked.get, True, PATIENCE)
        return {name: values[0] for name, values in found.items()}


@pytest.fixture
def api() -> Iterator[Api]:
    found = Api()
    yield found
    for _ in range(4):
        found.fails(503, "it ends")
    found.server.shutdown()
    found.server.server_close()
    found.thread.join(PATIENCE)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def pods(api: Api) -> AsyncIterator[Pods]:
    def configured(context: str) -> tuple[client.Configuration, str]:
        found = client.Configuration(host=f"http://127.0.0.1:{api.server.server_address[1]}")
        found.retries = 0
        found.proxy = None
        return found, ""

    cluster = Cluster("archon", configure=configured)
    clock = Clock()
    found = Pods(cluster, "mystic.io/owner=me", stale=10.0, clock=clock)
    found.clock = clock  # type: ignore[attr-defined]  # for the tests
    yield found
    api.fails(503, "it ends")
    await found.close()
    cluster.close()


def names(pods: Pods) -> dict[str, str]:
    return {one["metadata"]["name"]: "gone" if one.get("gone") else "there" for one in pods}


async def seen(pods: Pods, wanted: dict[str, str]) -> None:
    async with asyncio.timeout(PATIENCE):
        while names(pods) != wanted:
            await pods.change(0.2)


async def test_the_first_list_is_waited_for_and_what_changes_is_seen(api: Api, pods: Pods) -> None:
    api.lists(5, pod("a", 3))
    await pods.ready()
    assert (await api.question())["labelSelector"] == "mystic.io/owner=me"
    assert names(pods) == {"a": "there"}
    api.tells(("ADDED", pod("b", 6)), ("MODIFIED", pod("a", 7)), ("BOOKMARK", pod("", 20)))
    await seen(pods, {"a": "there", "b": "there"})
    assert (await api.question())["resourceVersion"] == "5"
    assert (await api.question())["resourceVersion"] == "20", "the next watch goes on where a bookmark said"


async def test_a_watch_that_is_too_late_begins_with_a_list_again(api: Api, pods: Pods) -> None:
    api.lists(5, pod("a", 3), pod("b", 4))
    await pods.ready()
    api.tells(("ERROR", {"kind": "Status", "code": 410, "message": "too old resource version: 5 (90)"}))
    api.lists(99, pod("b", 4), pod("c", 98))
    await seen(pods, {"a": "gone", "b": "there", "c": "there"})
    questions = [await api.question() for _ in range(4)]
    assert [one.get("resourceVersion") for one in questions] == [None, "5", None, "99"]


async def test_what_the_cluster_takes_away_stays_told_and_what_we_take_away_does_not(api: Api, pods: Pods) -> None:
    ours, theirs = pod("ours", 3), pod("theirs", 4)
    api.lists(5, ours, theirs)
    await pods.ready()
    pods.forget(ours)
    assert names(pods) == {"theirs": "there"}
    api.tells(("MODIFIED", pod("ours", 6)), ("DELETED", pod("ours", 7)), ("DELETED", pod("theirs", 8)))
    await seen(pods, {"theirs": "gone"})
    assert pods.latest("ours") is None
    pods.forget(next(iter(pods)))
    assert names(pods) == {}


async def test_an_answer_that_is_newer_than_the_watch_is_not_overwritten_by_it(api: Api, pods: Pods) -> None:
    api.lists(5)
    await pods.ready()
    pods.put(pod("a", 9, note="newer"))
    api.tells(("ADDED", pod("a", 8, note="older")), ("ADDED", pod("b", 10)))
    await seen(pods, {"a": "there", "b": "there"})
    found = pods.latest("a")
    assert found is not None
    assert found["metadata"]["note"] == "newer"


async def test_an_outage_is_bridged_for_a_while_then_told_and_over_when_it_is_over(api: Api, pods: Pods) -> None:
    api.lists(5, pod("a", 3))
    await pods.ready()
    api.fails(503, "etcd is away")
    api.fails(503, "etcd is away")
    async with asyncio.timeout(PATIENCE):
        while pods._error is None:
            await pods.change(0.2)
    await pods.ready()
    assert names(pods) == {"a": "there"}, "for a while what was seen last is the answer"
    pods.clock.now += 60.0  # type: ignore[attr-defined]
    with pytest.raises(EngineUnavailable, match="etcd is away"):
        await pods.ready()
    api.lists(8, pod("a", 3), pod("b", 7))
    await seen(pods, {"a": "there", "b": "there"})
    await pods.ready()


async def test_a_cluster_that_was_never_read_is_told_at_once(api: Api, pods: Pods) -> None:
    api.fails(503, "etcd is away")
    with pytest.raises(EngineUnavailable, match="etcd is away"):
        await pods.ready()
    api.lists(8, pod("a", 3))
    await seen(pods, {"a": "there"})
    await pods.ready()


async def test_what_a_former_process_was_ending_is_not_told_as_lost(api: Api, pods: Pods) -> None:
    api.lists(5, pod("a", 3), pod("b", 4, deletionTimestamp="2026-01-01T00:00:00Z"))
    await pods.ready()
    assert names(pods) == {"a": "there"}
    api.tells(("DELETED", pod("b", 6)), ("ADDED", pod("c", 7)))
    await seen(pods, {"a": "there", "c": "there"})
