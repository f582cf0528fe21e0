"""From what the cluster says of a pod to a :class:`Server` in plain language; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mystic_collector.servers.secrets import hidden
from mystic_collector.servers.server import Server, plain
from mystic_collector.servers.spec import ServerSpec
from mystic_collector.servers.told import seconds, whole
from mystic_collector.servers.verdict import Verdict, deaf, exited, not_begun, out_of_memory
from mystic_collector.sidecar.pod import CREATED, RESTARTS, annotation, is_protocol

MODE = "kubernetes"

_IMAGE = {
    "ErrImagePull": "could not be pulled",
    "ImagePullBackOff": "could not be pulled",
    "ErrImageNeverPull": "is not on the node, and may not be pulled (MCP_SIDECAR_PULL_POLICY)",
    "InvalidImageName": "has a name that is none",
    "ImageInspectError": "could not be read",
    "RegistryUnavailable": "could not be pulled: the registry cannot be reached",
}
_BEGINNING = "StartError", "ContainerCannotRun", "RunContainerError", "CreateContainerError"


def server_of(spec: ServerSpec, pod: Mapping[str, Any], now: float, values: Iterable[str] = ()) -> Server:
    """Return a server from its pod.

    Args:
        now: Unix seconds, for what takes too long.
        values: what must not be read in last words.
    """
    verdict = judge(spec, pod, now)
    status, told = pod.get("status") or {}, container(pod)
    began = (told.get("state") or {}).get("running") or (told.get("state") or {}).get("terminated") or {}
    created = float(annotation(pod, CREATED) or 0.0) or seconds(pod["metadata"].get("creationTimestamp"))
    started = seconds(began.get("startedAt"))
    return Server(
        spec=spec,
        state=verdict.state,
        mode=MODE,
        detail=plain(hidden(verdict.detail, values), 1000),
        remedy=verdict.remedy,
        cause=verdict.cause,
        identity=str(pod["metadata"]["name"]),
        engine_state=engine_state(pod),
        created_at=created,
        started_at=max(created, started) if started else 0.0,  # the cluster tells whole seconds
        restarts=whole(annotation(pod, RESTARTS)) + whole(told.get("restartCount")),
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


def judge(spec: ServerSpec, pod: Mapping[str, Any], now: float) -> Verdict:
    """Return what a pod's state means."""
    status, told = pod.get("status") or {}, container(pod)
    if pod.get("gone"):
        return _lost("its pod was deleted from outside (by a drain, an eviction or a person)")
    if pod["metadata"].get("deletionTimestamp"):
        return _lost("its pod is being deleted from outside (by a drain, an eviction or a person)")
    state = told.get("state") or {}
    if status.get("reason") == "Evicted":
        text = f"it was evicted from its node: {status.get('message', '')}"
        return Verdict("failed", text, "restart it; lower its limits", "deleted")
    if "terminated" in state:
        return _ended(spec, state["terminated"], told)
    if status.get("phase") == "Failed":
        text = f"its node gave it up: {status.get('reason', '')} {status.get('message', '')}"
        return Verdict("failed", text, "restart it", "node")
    if status.get("phase") == "Unknown":
        return Verdict("failed", "its node does not answer", "wait for the node, or restart it", "node")
    if "waiting" in state and state["waiting"].get("reason") not in (None, "ContainerCreating", "PodInitializing"):
        return _waiting(spec, state["waiting"], told)
    if "running" in state:
        return _up(spec, told)
    return _pending(spec, status, pod, now)


def _lost(what: str) -> Verdict:
    return Verdict("failed", what, "restart it", "deleted")


def _up(spec: ServerSpec, told: Mapping[str, Any]) -> Verdict:
    if spec.transport == "stdio" or told.get("started") or (told.get("started") is None and told.get("ready")):
        return Verdict("running")
    return Verdict("starting", f"waiting for it to listen on port {spec.port}")


def _pending(spec: ServerSpec, status: Mapping[str, Any], pod: Mapping[str, Any], now: float) -> Verdict:
    late = now - seconds(pod["metadata"].get("creationTimestamp")) > spec.timeout
    for one in status.get("conditions") or ():
        if one.get("type") == "PodScheduled" and one.get("status") == "False":
            text = f"no node takes it: {one.get('message') or one.get('reason', '')}"
            remedy = "make room on a node, lower its limits, or place it elsewhere"
            return Verdict("failed", text, remedy, "node") if late else Verdict("starting", text, remedy)
    if late:
        text = f"its pod was not begun within {spec.timeout:g} s"
        return Verdict("failed", text, "see 'kubectl describe pod', or raise timeout", "node")
    if pod["spec"].get("nodeName"):
        return Verdict("starting", "its image is being pulled and its container made")
    return Verdict("starting", "its pod waits for a node")


def _waiting(spec: ServerSpec, waiting: Mapping[str, Any], told: Mapping[str, Any]) -> Verdict:
    reason, message = str(waiting.get("reason", "")), str(waiting.get("message") or "")
    if reason in _IMAGE:
        said = f": {message}" if message else ""
        remedy = "check the image's name and tag, and that nodes may pull it (imagePullSecrets of the ServiceAccount)"
        return Verdict(
            "failed", f"the image {told.get('image') or spec.image!r} {_IMAGE[reason]}{said}", remedy, "image"
        )
    if reason == "CreateContainerConfigError":
        where = "create the Secret with that key in the servers' namespace" if "secret" in message else "see its spec"
        return Verdict("failed", f"it cannot be configured: {message}", where, "configuration")
    if reason in _BEGINNING:
        return not_begun(message)
    if reason == "CrashLoopBackOff" and "terminated" in (told.get("lastState") or {}):
        found = _ended(spec, told["lastState"]["terminated"], told)
        return found._replace(state="failed", detail=f"{found.detail} (it is begun again in a while)")
    return Verdict("failed", f"{reason}: {message}", "see 'kubectl describe pod'", "container")


def _ended(spec: ServerSpec, ended: Mapping[str, Any], told: Mapping[str, Any]) -> Verdict:
    reason, message = str(ended.get("reason", "")), str(ended.get("message") or "")
    if reason == "OOMKilled":
        return out_of_memory(spec)
    if reason in _BEGINNING:
        return not_begun(message)
    lasted = seconds(ended.get("finishedAt")) - seconds(ended.get("startedAt"))
    if spec.transport != "stdio" and told.get("started") is False and lasted >= spec.timeout - 1:
        return deaf(spec)
    return exited(whole(ended.get("exitCode")), _last(message))


def _last(message: str) -> str:
    """Return the last line of what it wrote that is no protocol."""
    lines = [line.strip() for line in message.splitlines() if line.strip() and not is_protocol(line.strip())]
    return lines[-1][:300] if lines else ""
