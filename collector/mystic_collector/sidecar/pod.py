"""From a spec to the pod that runs it, and back; pure, so that a test can read every right it does not have."""

from __future__ import annotations

import re
import secrets as randomness
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from mystic_agent.contract.errors import Invalid

from mystic_collector.servers.launch import SCRATCH, TEMPORARY, argv_of, replaces_entry_point
from mystic_collector.servers.spec import ServerSpec
from mystic_collector.servers.validation import read_spec
from mystic_collector.sidecar.cluster import CONTAINER, Pod

KIND = "mystic.io/"
OWNER = f"{KIND}owner"
NAME = f"{KIND}server"
ROLE = f"{KIND}role"
NETWORK = f"{KIND}network"
SPEC = f"{KIND}spec"
RESTARTS = f"{KIND}restarts"
CREATED = f"{KIND}created"
REQUEST = f"{KIND}request"
TAKEN = f"{KIND}taken"
MAIN, SESSION = "main", "session"
NOBODY = 65534
_PROTOCOL = re.compile(r'"jsonrpc"\s*:\s*"2\.0"')


@dataclass(frozen=True, slots=True)
class Making:
    """What of a pod is not the server's own.

    Attributes:
        owner: prefix of its name, and value of the label by which we find it.
        image: to run.
        pull_policy, restart: as the Kubernetes API has them.
        role: ``main``, or ``session`` for one further session's process.
        restarts: how often the server was begun anew.
        request: key of the request that asked for it, so that the same request does not ask twice.
        now: Unix seconds.
    """

    owner: str
    image: str
    pull_policy: str = "IfNotPresent"
    restart: str = "Never"
    role: str = MAIN
    restarts: int = 0
    request: str = ""
    now: float = 0.0


def pod_name(prefix: str, server: str, now: float) -> str:
    """Return a name that no pod has had: ``archon-mcp-20260101120000-time-1a2b3c``; a label of DNS, too."""
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%d%H%M%S")
    room = 63 - len(prefix) - len(stamp) - 6 - 3
    return f"{prefix}-{stamp}-{server[:room].rstrip('-')}-{randomness.token_hex(3)}"


def pod_of(spec: ServerSpec, making: Making) -> Pod:
    """Return the pod of a server, as it is applied."""
    listens = spec.transport != "stdio"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name(making.owner, spec.name, making.now),
            "labels": {
                "app.kubernetes.io/name": "mcp-server",
                "app.kubernetes.io/managed-by": "gnosis-mystic",
                OWNER: making.owner,
                NAME: spec.name,
                ROLE: making.role,
                NETWORK: spec.network,
            },
            "annotations": {
                SPEC: orjson.dumps(spec.to_json()).decode(),
                RESTARTS: str(making.restarts),
                CREATED: f"{making.now:.3f}",
                **({REQUEST: making.request} if making.request else {}),
            },
        },
        "spec": {
            "restartPolicy": making.restart if listens and making.role == MAIN else "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 2,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": NOBODY,
                "runAsGroup": NOBODY,
                "fsGroup": NOBODY,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(spec, making, listens)],
            "volumes": [
                {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": str(spec.limits.memory // 2)}}
            ],
            **_placed(spec),
        },
    }


def _container(spec: ServerSpec, making: Making, listens: bool) -> dict[str, Any]:
    argv, limits = [_literal(one) for one in argv_of(spec)], spec.limits
    entry = {"command": argv[:1], "args": argv[1:]} if replaces_entry_point(spec) else {"args": argv}
    values = [{"name": name, "value": _literal(value)} for name, value in {**TEMPORARY, **spec.env}.items()]
    secrets = [
        {"name": one.env, "valueFrom": {"secretKeyRef": {"name": one.secret, "key": one.key or one.env}}}
        for one in spec.secrets
    ]
    hidden = {one.env for one in spec.secrets}
    return {
        "name": CONTAINER,
        "image": making.image,
        "imagePullPolicy": making.pull_policy,
        **{name: words for name, words in entry.items() if words},
        **({"workingDir": SCRATCH} if replaces_entry_point(spec) and not spec.image else {}),
        "env": [one for one in values if one["name"] not in hidden] + secrets,
        # The input ends with the connection it came over: no session ever gets a process that another one has used.
        **({} if listens else {"stdin": True, "stdinOnce": True}),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "resources": {
            "requests": {"cpu": f"{limits.cpu_request}m", "memory": str(limits.memory_request)},
            "limits": {"cpu": f"{limits.cpu}m", "memory": str(limits.memory)},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "scratch", "mountPath": SCRATCH}],
        **(_listening(spec) if listens else {}),
    }


def _listening(spec: ServerSpec) -> dict[str, Any]:
    """Return what lets the kubelet tell when a server listens, and end one that does not in time."""
    probe = {"tcpSocket": {"port": spec.port}, "periodSeconds": 1, "timeoutSeconds": 1}
    return {
        "ports": [{"name": "mcp", "containerPort": spec.port, "protocol": "TCP"}],
        "startupProbe": {**probe, "failureThreshold": max(1, round(spec.timeout))},
    }


def _placed(spec: ServerSpec) -> dict[str, Any]:
    where = spec.placement
    found = {
        "nodeSelector": dict(where.node_selector),
        "tolerations": [dict(one) for one in where.tolerations],
        "affinity": dict(where.affinity),
    }
    return {name: value for name, value in found.items() if value}


def _literal(text: str) -> str:
    """Return ``text`` so that it arrives as it is: Kubernetes expands ``$(NAME)`` in arguments and values."""
    return text.replace("$", "$$")


def spec_of(pod: Mapping[str, Any]) -> ServerSpec | None:
    """Return the spec of one of our pods; None when somebody has tampered with it."""
    try:
        fields = orjson.loads((pod["metadata"].get("annotations") or {}).get(SPEC, ""))
        values = environment(pod)
        return read_spec({**fields, "env": {name: values.get(name, "") for name in fields.get("env", [])}})
    except (ValueError, TypeError, AttributeError, LookupError, Invalid):
        return None


def environment(pod: Mapping[str, Any]) -> dict[str, str]:
    """Return the plain variables of a pod."""
    [container, *_] = pod["spec"]["containers"]
    return {one["name"]: one.get("value", "").replace("$$", "$") for one in container.get("env") or ()}


def annotation(pod: Mapping[str, Any], name: str) -> str:
    """Return one annotation, or nothing."""
    return str((pod["metadata"].get("annotations") or {}).get(name, ""))


def label(pod: Mapping[str, Any], name: str) -> str:
    """Return one label, or nothing."""
    return str((pod["metadata"].get("labels") or {}).get(name, ""))


def is_protocol(text: str) -> bool:
    """True for a line of what a stdio server says to its client: in a pod's log both its outputs are one."""
    return text.startswith("{") and _PROTOCOL.search(text[:65536]) is not None
