"""What a pod of ours may do and what is in it, read from the pod itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from mystic_collector.servers.spec import ServerSpec
from mystic_collector.servers.validation import read_spec
from mystic_collector.sidecar.pod import Making, environment, is_protocol, pod_name, pod_of, spec_of

FULL: dict[str, Any] = {
    "name": "full",
    "server_type": "npx",
    "package": "@scope/server@1.2.3",
    "args": ["--root", "$(HOME)/x", "$$", "a b"],
    "env": {"TOKEN": "canary-value", "PRICE": "$(MONEY) $5 $$"},
    "secrets": [{"env": "GITHUB_TOKEN", "secret": "github", "key": "token"}, {"env": "OTHER", "secret": "other"}],
    "transport": "http",
    "port": 3001,
    "timeout": 45,
    "limits": {"cpu": "750m", "memory": "1Gi"},
    "placement": {
        "node_selector": {"disk": "ssd"},
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"podAntiAffinity": {}},
    },
}
SPECS = (FULL, {"name": "bare", "server_type": "docker", "image": "mcp/time:1"})


def made(fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return pod_of(read_spec(fields), Making("archon-mcp", "node:24", now=1_767_268_800.0, **more))


def parts(pod: dict[str, Any], *names: str) -> Iterator[dict[str, Any]]:
    """Yield the pod's own securityContext or each container's, as the restricted level looks at them."""
    for name in names:
        if name == "pod":
            yield pod["spec"].get("securityContext", {})
        else:
            for container in pod["spec"].get(name, []):
                yield container.get("securityContext", {})


EVERY = ("containers", "initContainers", "ephemeralContainers")
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
SYSCTLS: set[str] = set()
# The controls of the restricted Pod Security Standard (which has the baseline's in it), as Kubernetes publishes them.
RESTRICTED = {
    "HostProcess": lambda pod: not any("windowsOptions" in one for one in parts(pod, "pod", *EVERY)),
    "Host Namespaces": lambda pod: not any(pod["spec"].get(one) for one in ("hostNetwork", "hostPID", "hostIPC")),
    "Privileged Containers": lambda pod: not any(one.get("privileged") for one in parts(pod, *EVERY)),
    "Capabilities": lambda pod: all(
        one["capabilities"].get("drop") == ["ALL"] and not one["capabilities"].get("add") for one in parts(pod, *EVERY)
    ),
    "HostPath Volumes": lambda pod: not any("hostPath" in one for one in pod["spec"].get("volumes", [])),
    "Host Ports": lambda pod: (
        not any(port.get("hostPort") for one in pod["spec"]["containers"] for port in one.get("ports", []))
    ),
    "Host Probes and Lifecycle Hooks": lambda pod: (
        not any(
            (probe.get("tcpSocket") or probe.get("httpGet") or {}).get("host")
            for one in pod["spec"]["containers"]
            for probe in (one.get("startupProbe") or {}, one.get("livenessProbe") or {}, one.get("lifecycle") or {})
        )
    ),
    "AppArmor": lambda pod: not any("apparmor" in name for name in pod["metadata"]["annotations"]),
    "SELinux": lambda pod: not any("seLinuxOptions" in one for one in parts(pod, "pod", *EVERY)),
    "/proc Mount Type": lambda pod: not any("procMount" in one for one in parts(pod, *EVERY)),
    "Sysctls": lambda pod: set(pod["spec"]["securityContext"].get("sysctls", [])) <= SYSCTLS,
    "Volume Types": lambda pod: all(set(one) - {"name"} <= VOLUMES for one in pod["spec"].get("volumes", [])),
    "Privilege Escalation": lambda pod: all(one["allowPrivilegeEscalation"] is False for one in parts(pod, *EVERY)),
    "Running as Non-root": lambda pod: all(one["runAsNonRoot"] is True for one in parts(pod, "pod", *EVERY)),
    "Running as Non-root user": lambda pod: all(one.get("runAsUser") != 0 for one in parts(pod, "pod", *EVERY)),
    "Seccomp": lambda pod: pod["spec"]["securityContext"]["seccompProfile"]["type"] in ("RuntimeDefault", "Localhost"),
}


@pytest.mark.parametrize("control", list(RESTRICTED))
def test_every_control_of_the_restricted_pod_security_standard_is_met(control: str) -> None:
    for fields in SPECS:
        for more in ({}, {"role": "session"}):
            assert RESTRICTED[control](made(fields, **more))


def test_beyond_the_standard_a_pod_has_no_token_no_writable_root_and_no_names_of_services() -> None:
    for fields in SPECS:
        spec = made(fields)["spec"]
        [container] = spec["containers"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert [one["mountPath"] for one in container["volumeMounts"]] == ["/tmp"]
        assert spec["volumes"][0]["emptyDir"]["medium"] == "Memory"


def test_a_pod_gets_what_was_asked_for_and_the_usual_limits_else() -> None:
    bare, full = (made(fields)["spec"]["containers"][0]["resources"] for fields in reversed(SPECS))
    assert bare["requests"] == {"cpu": "250m", "memory": str(256 * 2**20)}
    assert bare["limits"] == {"cpu": "500m", "memory": str(512 * 2**20)}
    assert full["limits"] == {"cpu": "750m", "memory": str(2**30)}
    spec = made(FULL)["spec"]
    assert spec["nodeSelector"] == {"disk": "ssd"}
    assert spec["tolerations"] == [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert spec["affinity"] == {"podAntiAffinity": {}}
    assert spec["containers"][0]["startupProbe"]["failureThreshold"] == 45


def test_secrets_are_named_and_never_written() -> None:
    pod = made(FULL)
    env = {one["name"]: one for one in pod["spec"]["containers"][0]["env"]}
    assert env["GITHUB_TOKEN"] == {
        "name": "GITHUB_TOKEN",
        "valueFrom": {"secretKeyRef": {"name": "github", "key": "token"}},
    }
    assert env["OTHER"]["valueFrom"]["secretKeyRef"] == {"name": "other", "key": "OTHER"}
    assert "canary" not in repr(pod["metadata"])


def test_what_kubernetes_would_expand_arrives_as_it_was_given() -> None:
    pod = made(FULL)
    [container] = pod["spec"]["containers"]
    expanded = [re.sub(r"\$\$", "$", one) for one in container["args"]]
    assert expanded[-4:] == ["--root", "$(HOME)/x", "$$", "a b"]
    assert not any(re.search(r"(?<!\$)(?:\$\$)*\$\(", one) for one in container["args"])
    assert environment(pod)["PRICE"] == "$(MONEY) $5 $$"


@pytest.mark.parametrize("fields", SPECS, ids=lambda fields: str(fields["name"]))
def test_a_pod_gives_its_spec_back_and_one_that_was_tampered_with_none(fields: dict[str, Any]) -> None:
    spec: ServerSpec = read_spec(fields)
    pod = made(fields)
    assert spec_of(pod) == spec
    for text in ("", "{", "[]", '{"name": "../"}', '{"name": "a", "env": 3}'):
        pod["metadata"]["annotations"]["mystic.io/spec"] = text
        assert spec_of(pod) is None


def test_names_say_whose_and_when_and_never_collide() -> None:
    names = {pod_name("archon-mcp", "a" * 40, 1_767_268_800.0) for _ in range(200)}
    assert len(names) == 200
    for name in (*names, pod_name("a" * 24, "x", 1_767_268_800.0)):
        assert re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", name)
    assert all(name.startswith("archon-mcp-20260101120000-aaa") for name in names)


def test_a_failed_server_is_begun_anew_by_its_node_only_where_that_was_asked_for() -> None:
    assert made(FULL)["spec"]["restartPolicy"] == "Never"
    assert made(FULL, restart="OnFailure")["spec"]["restartPolicy"] == "OnFailure"
    assert made(SPECS[1], restart="OnFailure")["spec"]["restartPolicy"] == "Never"


@pytest.mark.parametrize(
    ("text", "protocol"),
    [
        ('{"jsonrpc":"2.0","id":1,"result":{}}', True),
        ('{"id": 1, "jsonrpc" : "2.0", "method": "x"}', True),
        ("the server says jsonrpc 2.0", False),
        ('{"level": "info", "message": "ready"}', False),
        ("", False),
    ],
)
def test_what_a_stdio_server_says_to_its_client_is_no_log(text: str, protocol: bool) -> None:
    assert is_protocol(text) is protocol
