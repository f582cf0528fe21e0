"""From what the cluster says of a pod to a :class:`Server` in plain language; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mystic_collector.servers.docker.reading import seconds
from mystic_collector.servers.secrets import hidden
from mystic_collector.servers.server import Server, State, plain
from mystic_collector.servers.spec import ServerSpec
from mystic_collector.sidecar.pod import CREATED, RESTARTS, annotation, is_protocol

MODE = "kubernetes"
Judgement = tuple[State, str, str]

_IMAGE = {
    "ErrImagePull": "could not be pulled",
    "ImagePullBackOff": "could not be pulled",
    "ErrImageNeverPull": "is not on the node, and may not be pulled (MCP_SIDECAR_PULL_POLICY)",
    "InvalidImageName": "has a name that is none",
    "ImageInspectError": "could not be read",
    "RegistryUnavailable": "could not be pulled: the registry cannot be reached",
}
_ENDED_BY_US = (128 + 15, 128 + 2)
_CODES = {
    126: "its program may not be executed",
    127: "its program was not found in the image",
    134: "it aborted (SIGABRT)",
    137: "it was killed from outside",
    139: "it crashed (SIGSEGV)",
}
_BEGINNING = "StartError", "ContainerCannotRun", "RunContainerError", "CreateContainerError"


def server_of(spec: ServerSpec, pod: Mapping[str, Any], now: float, values: Iterable[str] = ()) -> Server:
    """Return a server from its pod.

    Args:
        now: Unix seconds, for what takes too long.
        values: what must not be read in last words.
    """
    state, detail, remedy = judge(spec, pod, now)
    status, told = pod.get("status") or {}, container(pod)
    began = (told.get("state") or {}).get("running") or (told.get("state") or {}).get("terminated") or {}
    created = float(annotation(pod, CREATED) or 0.0) or seconds(pod["metadata"].get("creationTimestamp"))
    started = seconds(began.get("startedAt"))
    return Server(
        spec=spec,
        state=state,
        mode=MODE,
        detail=plain(hidden(detail, values), 1000),
        remedy=remedy,
        identity=str(pod["metadata"]["name"]),
        engine_state=engine_state(pod),
        created_at=created,
        started_at=max(created, started) if started else 0.0,  # the cluster tells whole seconds
        restarts=_whole(annotation(pod, RESTARTS)) + _whole(told.get("restartCount")),
        facts={
            "image": pod["spec"]["containers"][0].get("image", ""),
            "namespace": str(pod["metadata"].get("namespace", "")),
            "node": str(pod["spec"].get("nodeName", "")),
            "address": str(status.get("podIP", "")),
        },
    )


def container(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the status of the server's container; empty before there is one."""
    found = (pod.get("status") or {}).get("containerStatuses") or ()
    return found[0] if found else {}


def engine_state(pod: Mapping[str, Any]) -> str:
    """Return the cluster's own word for how a pod is: what ``kubectl get pods`` shows."""
    status, told = pod.get("status") or {}, container(pod).get("state") or {}
    for kind in ("waiting", "terminated"):
        if reason := (told.get(kind) or {}).get("reason"):
            return str(reason)
    return str(status.get("reason") or status.get("phase") or "Pending")


def is_up(pod: Mapping[str, Any]) -> bool:
    """True while its process runs."""
    return "running" in (container(pod).get("state") or {})


def has_ended(pod: Mapping[str, Any]) -> bool:
    """True when its process will run no more."""
    return (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")


def judge(spec: ServerSpec, pod: Mapping[str, Any], now: float) -> Judgement:
    """Return (state, detail, remedy)."""
    status, told = pod.get("status") or {}, container(pod)
    if pod.get("gone"):
        return "failed", "its pod was deleted from outside (by a drain, an eviction or a person)", "restart it"
    if pod["metadata"].get("deletionTimestamp"):
        return "failed", "its pod is being deleted from outside (by a drain, an eviction or a person)", "restart it"
    state = told.get("state") or {}
    if status.get("reason") == "Evicted":
        return "failed", f"it was evicted from its node: {status.get('message', '')}", "restart it; lower its limits"
    if "terminated" in state:
        return _ended(spec, state["terminated"], told)
    if status.get("phase") == "Failed":
        return "failed", f"its node gave it up: {status.get('reason', '')} {status.get('message', '')}", "restart it"
    if status.get("phase") == "Unknown":
        return "failed", "its node does not answer", "wait for the node, or restart it"
    if "waiting" in state and state["waiting"].get("reason") not in (None, "ContainerCreating", "PodInitializing"):
        return _waiting(spec, state["waiting"], told)
    if "running" in state:
        return _up(spec, told)
    return _pending(spec, status, pod, now)


def _up(spec: ServerSpec, told: Mapping[str, Any]) -> Judgement:
    if spec.transport == "stdio" or told.get("started") or (told.get("started") is None and told.get("ready")):
        return "running", "", ""
    return "starting", f"waiting for it to listen on port {spec.port}", ""


def _pending(spec: ServerSpec, status: Mapping[str, Any], pod: Mapping[str, Any], now: float) -> Judgement:
    waited = now - seconds(pod["metadata"].get("creationTimestamp"))
    late = waited > spec.timeout
    for one in status.get("conditions") or ():
        if one.get("type") == "PodScheduled" and one.get("status") == "False":
            text = f"no node takes it: {one.get('message') or one.get('reason', '')}"
            return (
                "failed" if late else "starting",
                text,
                "make room on a node, lower its limits, or place it elsewhere",
            )
    if late:
        return (
            "failed",
            f"its pod was not begun within {spec.timeout:g} s",
            "see 'kubectl describe pod', or raise timeout",
        )
    if pod["spec"].get("nodeName"):
        return "starting", "its image is being pulled and its container made", ""
    return "starting", "its pod waits for a node", ""


def _waiting(spec: ServerSpec, waiting: Mapping[str, Any], told: Mapping[str, Any]) -> Judgement:
    reason, message = str(waiting.get("reason", "")), str(waiting.get("message") or "")
    if reason in _IMAGE:
        said = f": {message}" if message else ""
        remedy = "check the image's name and tag, and that nodes may pull it (imagePullSecrets of the ServiceAccount)"
        return "failed", f"the image {told.get('image') or spec.image!r} {_IMAGE[reason]}{said}", remedy
    if reason == "CreateContainerConfigError":
        where = "create the Secret with that key in the servers' namespace" if "secret" in message else "see its spec"
        return "failed", f"it cannot be configured: {message}", where
    if reason in _BEGINNING:
        return "failed", f"it could not be started: {message}", "choose another image or command"
    if reason == "CrashLoopBackOff" and "terminated" in (told.get("lastState") or {}):
        _, detail, remedy = _ended(spec, told["lastState"]["terminated"], told)
        return "failed", f"{detail} (it is begun again in a while)", remedy
    return "failed", f"{reason}: {message}", "see 'kubectl describe pod'"


def _ended(spec: ServerSpec, ended: Mapping[str, Any], told: Mapping[str, Any]) -> Judgement:
    reason, message, code = str(ended.get("reason", "")), str(ended.get("message") or ""), _whole(ended.get("exitCode"))
    if reason == "OOMKilled":
        size = f"{spec.limits.memory / 2**20:.0f} MiB"
        return "failed", f"out of memory: it needed more than {size}", "raise limits.memory, or give it less to do"
    if reason in _BEGINNING:
        text = " ".join(message.split())[:300]
        return "failed", f"it could not be started: {text}", "name a program that the image has"
    lasted = seconds(ended.get("finishedAt")) - seconds(ended.get("startedAt"))
    if spec.transport != "stdio" and told.get("started") is False and lasted >= spec.timeout - 1:
        remedy = "read its logs; check port and transport, let it listen on 0.0.0.0, or raise timeout"
        return "failed", f"it did not listen on port {spec.port} within {spec.timeout:g} s", remedy
    if code == 0:
        return "stopped", "it has ended by itself", "restart it"
    if code in _ENDED_BY_US:
        return "stopped", "it was asked to end", "restart it"
    text, last = _CODES.get(code, f"it ended with exit code {code}"), _last(message)
    return "failed", f"{text}: {last}" if last else text, "read its logs"


def _last(message: str) -> str:
    """Return the last line of what it wrote that is no protocol."""
    lines = [line.strip() for line in message.splitlines() if line.strip() and not is_protocol(line.strip())]
    return lines[-1][:300] if lines else ""


def _whole(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0
