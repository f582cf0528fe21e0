"""What a pod gets: the agent's tree on a volume, and the variables that switch it on; pure.

Sources: RFC 6902 (JSON Patch), https://kubernetes.io/docs/concepts/security/pod-security-standards/ (restricted).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

INJECT = "mystic.io/inject"
CONTAINERS = "mystic.io/containers"
SERVICE = "mystic.io/service"
STAGE = "mystic.io/stage"
KEY_SECRET = "mystic.io/key-secret"  # noqa: S105 - the name of an annotation
INJECTED = "mystic.io/injected"

VOLUME = "mystic-agent"
FOLDER = "/mystic"
BOOTSTRAP = f"{FOLDER}/mystic_bootstrap"
KEY_NAME = "mystic-api-key"
KEY_ENTRY = "api-key"
RESTRICTED: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass(frozen=True, slots=True)
class Collector:
    """Where injected agents report, and which image brings them.

    Attributes:
        host: name or address of the collector as pods see it.
        port: its port.
        agent_image: image of the agent's tree.
        pull_policy: ``imagePullPolicy`` of that image; empty for the cluster's default.
        version: of the agent; noted on the pod.
    """

    host: str
    port: int
    agent_image: str
    pull_policy: str = ""
    version: str = "unknown"


@dataclass(frozen=True, slots=True)
class Change:
    """What is done to one pod.

    Attributes:
        patch: JSON Patch operations; empty when nothing is to be done.
        warnings: what could not be done and what to do, for who creates the pod.
    """

    patch: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def change(pod: Mapping[str, Any], collector: Collector) -> Change:
    """Return what ``pod``, as the API server sends it, gets; nothing without the annotation, or a second time."""
    metadata = pod.get("metadata") or {}
    notes = {str(name): str(value) for name, value in (metadata.get("annotations") or {}).items()}
    if notes.get(INJECT, "").strip().lower() not in ("true", "yes", "1", "on") or INJECTED in notes:
        return Change()
    spec = pod.get("spec") or {}
    containers = list(spec.get("containers") or [])
    chosen, warnings = _chosen(containers, notes.get(CONTAINERS, ""))
    if not chosen:
        return Change(warnings=warnings)
    wanted = _variables(collector, notes.get(SERVICE, "") or service_of(metadata), notes)
    patch = [
        *_added(spec, "volumes", [{"name": VOLUME, "emptyDir": {"sizeLimit": "64Mi"}}]),
        *_first(spec, "initContainers", _carrier(collector)),
    ]
    for index in chosen:
        operations, said = _switched_on(index, containers[index], wanted)
        patch += operations
        warnings += said
    patch.append({"op": "add", "path": f"/metadata/annotations/{_escaped(INJECTED)}", "value": collector.version})
    return Change(patch, warnings)


def _chosen(containers: list[Any], named: str) -> tuple[list[int], list[str]]:
    """Return the positions of the containers that are meant: all, or those named."""
    names = [str(one.get("name")) for one in containers]
    asked = [name.strip() for name in named.split(",") if name.strip()]
    unknown = [name for name in asked if name not in names]
    warnings = [f"{CONTAINERS} names {name!r}; the pod has {', '.join(names)}" for name in unknown]
    return [index for index, name in enumerate(names) if not asked or name in asked], warnings


def service_of(metadata: Mapping[str, Any]) -> str:
    """Return the name of what the pod is part of: its usual labels, or what its replica set is called."""
    labels = metadata.get("labels") or {}
    for label in ("app.kubernetes.io/name", "app", "k8s-app"):
        if labels.get(label):
            return str(labels[label])
    name = str(metadata.get("name") or metadata.get("generateName") or "").strip("-")
    hashed = labels.get("pod-template-hash")
    return name.removesuffix(f"-{hashed}") if hashed else name


def _variables(collector: Collector, service: str, notes: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the variables beside PYTHONPATH; the key comes from a secret in the pod's namespace, if there is one."""
    plain = {
        "MYSTIC_HOST": collector.host,
        "MYSTIC_PORT": str(collector.port),
        "MYSTIC_SERVICE": service,
        "MYSTIC_ENV": notes.get(STAGE, ""),
    }
    secret = {"name": notes.get(KEY_SECRET, "") or KEY_NAME, "key": KEY_ENTRY, "optional": True}
    key = {"name": "MYSTIC_API_KEY", "valueFrom": {"secretKeyRef": secret}}
    return [*({"name": name, "value": value} for name, value in plain.items() if value), key]


def _carrier(collector: Collector) -> dict[str, Any]:
    """Return the init container that copies the agent's tree onto the volume."""
    policy = {"imagePullPolicy": collector.pull_policy} if collector.pull_policy else {}
    return {
        "name": VOLUME,
        "image": collector.agent_image,
        **policy,
        "command": ["cp", "-R", f"{FOLDER}/.", "/target/"],
        "volumeMounts": [{"name": VOLUME, "mountPath": "/target"}],
        "securityContext": RESTRICTED,
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "500m", "memory": "64Mi"}},
    }


def _switched_on(
    index: int, container: Mapping[str, Any], wanted: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the operations on one container; what it says about Mystic itself stays."""
    at = f"spec/containers/{index}"
    name = container.get("name")
    own = {one.get("name"): one for one in container.get("env") or []}
    if any(mount.get("mountPath") == FOLDER for mount in container.get("volumeMounts") or []):
        return [], [f"container {name!r} mounts something at {FOLDER}; Mystic is left out of it"]
    path = own.get("PYTHONPATH")
    variables = [one for one in wanted if one["name"] not in own]
    patch = []
    if path is None:
        variables.insert(0, {"name": "PYTHONPATH", "value": BOOTSTRAP})
    elif "value" in path:
        place = list(own).index("PYTHONPATH")
        joined = ":".join(part for part in (BOOTSTRAP, path["value"]) if part)
        patch.append({"op": "replace", "path": f"/{at}/env/{place}", "value": {"name": "PYTHONPATH", "value": joined}})
    else:
        remedy = f"put {BOOTSTRAP} in front of it there"
        return [], [f"container {name!r} takes PYTHONPATH from elsewhere; Mystic is left out of it: {remedy}"]
    patch += _added(container, "env", variables, at)
    patch += _added(container, "volumeMounts", [{"name": VOLUME, "mountPath": FOLDER, "readOnly": True}], at)
    return patch, []


def _added(holder: Mapping[str, Any], name: str, items: list[dict[str, Any]], at: str = "spec") -> list[dict[str, Any]]:
    """Return the operations that append to a list which may not be there."""
    if not holder.get(name):
        return [{"op": "add", "path": f"/{at}/{name}", "value": items}]
    return [{"op": "add", "path": f"/{at}/{name}/-", "value": item} for item in items]


def _first(holder: Mapping[str, Any], name: str, item: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the operation that puts an item in front: other init containers may run Python as well."""
    if not holder.get(name):
        return [{"op": "add", "path": f"/spec/{name}", "value": [item]}]
    return [{"op": "add", "path": f"/spec/{name}/0", "value": item}]


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
