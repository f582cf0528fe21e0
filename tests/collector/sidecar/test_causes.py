"""Whatever a cluster says of a pod or answers to a question has a cause and a remedy in plain language."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException
from mystic_collector.servers.errors import EngineUnavailable, Forbidden, Rejected
from mystic_collector.servers.validation import read_spec
from mystic_collector.sidecar.pod import Making, pod_of
from mystic_collector.sidecar.reading import server_of
from mystic_collector.sidecar.refusals import Conflict, Gone, plainly
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, ProtocolError, SSLError

STDIO = read_spec({"name": "one", "server_type": "docker", "image": "mcp/time:1", "env": {"TOKEN": "canary-value"}})
HTTP = read_spec(
    {"name": "one", "server_type": "docker", "image": "mcp/time:1", "transport": "http", "port": 3001, "timeout": 30}
)
NOW = 1_767_268_800.0
BEGAN = "2026-01-01T12:00:00Z"


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason, "message": message}}, "image": "mcp/time:1"}


def ended(code: int, reason: str = "Error", message: str = "", **more: Any) -> dict[str, Any]:
    told = {"exitCode": code, "reason": reason, "message": message, "startedAt": BEGAN, "finishedAt": BEGAN}
    return {"state": {"terminated": {**told, **more}}}


RUNS = {"state": {"running": {"startedAt": BEGAN}}, "ready": True, "started": True}
UNSCHEDULED = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes: memory"}]


@pytest.mark.parametrize(
    ("spec", "container", "status", "later", "state", "words"),
    [
        (STDIO, {}, {"phase": "Pending"}, 0, "starting", "waits for a node"),
        (
            STDIO,
            {},
            {"phase": "Pending", "conditions": UNSCHEDULED},
            0,
            "starting",
            "no node takes it: 0/3 nodes: memory",
        ),
        (STDIO, {}, {"phase": "Pending", "conditions": UNSCHEDULED}, 500, "failed", "no node takes it"),
        (STDIO, {}, {"phase": "Pending"}, 500, "failed", "not begun within 120 s"),
        (STDIO, waiting("ContainerCreating"), {"phase": "Pending"}, 0, "starting", ""),
        (STDIO, waiting("ImagePullBackOff", "Back-off pulling"), {}, 0, "failed", "'mcp/time:1' could not be pulled"),
        (STDIO, waiting("ErrImagePull", "unauthorized"), {}, 0, "failed", "could not be pulled: unauthorized"),
        (STDIO, waiting("ErrImageNeverPull"), {}, 0, "failed", "not on the node"),
        (STDIO, waiting("InvalidImageName"), {}, 0, "failed", "name that is none"),
        (STDIO, waiting("CreateContainerConfigError", 'secret "x" not found'), {}, 0, "failed", 'secret "x" not found'),
        (
            STDIO,
            waiting("CreateContainerError", "no such thing"),
            {},
            0,
            "failed",
            "could not be started: no such thing",
        ),
        (STDIO, waiting("SomethingNew", "of 1.40"), {}, 0, "failed", "SomethingNew: of 1.40"),
        (STDIO, RUNS, {"phase": "Running"}, 0, "running", ""),
        (HTTP, RUNS, {"phase": "Running"}, 0, "running", ""),
        (HTTP, {**RUNS, "ready": False, "started": False}, {}, 0, "starting", "listen on port 3001"),
        (HTTP, {**RUNS, "ready": False, "started": None}, {}, 0, "starting", "listen on port 3001"),
        (
            HTTP,
            {**ended(143, finishedAt="2026-01-01T12:00:31Z"), "started": False},
            {"phase": "Failed"},
            0,
            "failed",
            "did not listen on port 3001 within 30 s",
        ),
        (STDIO, ended(0, "Completed"), {"phase": "Succeeded"}, 0, "stopped", "by itself"),
        (STDIO, ended(143), {"phase": "Failed"}, 0, "stopped", "asked to end"),
        (STDIO, ended(137, "OOMKilled"), {"phase": "Failed"}, 0, "failed", "it needed more than 512 MiB"),
        (STDIO, ended(137), {"phase": "Failed"}, 0, "failed", "killed from outside"),
        (STDIO, ended(3, message='{"jsonrpc":"2.0"}\nno licence\n\n'), {}, 0, "failed", "exit code 3: no licence"),
        (STDIO, ended(3, message='{"jsonrpc":"2.0"}'), {}, 0, "failed", "exit code 3"),
        (STDIO, ended(1, message="the token is canary-value"), {}, 0, "failed", "the token is ***"),
        (
            STDIO,
            ended(128, "StartError", 'exec: "x":\n not found'),
            {},
            0,
            "failed",
            'could not be started: exec: "x": not',
        ),
        (STDIO, {}, {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}, 0, "failed", "evicted from"),
        (
            STDIO,
            {},
            {"phase": "Failed", "reason": "NodeAffinity", "message": "m"},
            0,
            "failed",
            "gave it up: NodeAffinity",
        ),
        (STDIO, {}, {"phase": "Unknown"}, 0, "failed", "node does not answer"),
        (
            HTTP,
            {**waiting("CrashLoopBackOff"), "lastState": ended(3)["state"], "restartCount": 4},
            {},
            0,
            "failed",
            "exit code 3 (it is begun again",
        ),
    ],
)
def test_every_state_of_a_pod_is_told(
    spec: Any, container: dict[str, Any], status: dict[str, Any], later: float, state: str, words: str
) -> None:
    pod = pod_of(spec, Making("archon-mcp", "mcp/time:1", now=NOW))
    pod["metadata"]["creationTimestamp"] = BEGAN
    pod["status"] = {**status, **({"containerStatuses": [container]} if container else {})}
    found = server_of(spec, pod, NOW + later, ["canary-value"])
    assert found.state == state
    assert words in found.detail
    assert found.remedy or state in ("running", "starting")
    assert bool(found.cause) == (state == "failed")
    assert "canary" not in repr(found)


def test_a_pod_that_goes_or_went_without_our_doing_is_told_so() -> None:
    pod = pod_of(STDIO, Making("archon-mcp", "mcp/time:1", now=NOW))
    for more in ({"gone": True}, {"metadata": {**pod["metadata"], "deletionTimestamp": BEGAN}}):
        found = server_of(STDIO, {**pod, **more}, NOW)
        assert found.state == "failed"
        assert "deleted from outside" in found.detail


def answer(status: int, message: str) -> ApiException:
    return ApiException(status=status, reason="x", body=json.dumps({"message": message}))


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (
            answer(
                403,
                'pods is forbidden: User "system:serviceaccount:a:b" cannot create resource "pods" in namespace "a"',
            ),
            Forbidden,
            'system:serviceaccount:a:b may not create resource "pods" in namespace "a"; bind the Role',
        ),
        (
            answer(403, 'pods "x" is forbidden: exceeded quota: small, requested: pods=1, limited: pods=1'),
            Rejected,
            "small",
        ),
        (
            answer(403, 'pods "x" is forbidden: violates PodSecurity "restricted:latest": host'),
            Rejected,
            "pod security",
        ),
        (answer(403, "maximum cpu usage per Container is 1, but limit is 2"), Rejected, "lower its limits"),
        (answer(403, "unable to create: namespace a is being terminated"), Rejected, "is being deleted"),
        (answer(403, "denied by a webhook"), Rejected, "denied by a webhook"),
        (answer(401, "Unauthorized"), Forbidden, "does not know who we are"),
        (answer(404, 'namespaces "archon" not found'), Rejected, "KUBERNETES_NAMESPACE"),
        (answer(404, 'pods "x" not found'), Gone, "no longer there"),
        (answer(410, "too old resource version"), Gone, "too old"),
        (answer(409, "the object has been modified"), Conflict, "faster"),
        (answer(422, "spec.tolerations[0].effect: Unsupported value"), Rejected, "Unsupported value"),
        (answer(503, "etcd is away"), EngineUnavailable, "etcd is away"),
        (answer(429, "too many requests"), EngineUnavailable, "too many requests"),
        (ApiException(status=500, reason="Internal", body=b"<html>"), EngineUnavailable, "500"),
        (ConfigException("no configuration"), EngineUnavailable, "KUBECONFIG"),
        (
            ProtocolError("Connection aborted.", ConnectionResetError(104, "reset")),
            EngineUnavailable,
            "cannot be reached",
        ),
        (MaxRetryError(None, "/", SSLError("bad")), EngineUnavailable, "certificate"),  # type: ignore[arg-type]
        (MaxRetryError(None, "/", ConnectTimeoutError("connection timed out")), EngineUnavailable, "in time"),  # type: ignore[arg-type]
        (MaxRetryError(None, "/", NewConnectionError(None, "Connection refused")), EngineUnavailable, "refused"),  # type: ignore[arg-type]
        (ConnectionRefusedError(111, "Connection refused"), EngineUnavailable, "refused"),
    ],
)
def test_every_refusal_of_the_api_server_is_told(error: Exception, kind: type[Exception], words: str) -> None:
    found = plainly(error)
    assert type(found) is kind
    assert words in str(found)
