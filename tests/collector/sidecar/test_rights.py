"""On a real cluster: what the sidecar's account may do, and what the pods that it makes may."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from mystic_collector.sidecar.pod import ROLE

from ..servers.cluster import ACCOUNT, KubernetesLaboratory
from ..servers.contract import Speech, settled
from .test_pod import RESTRICTED

pytestmark = pytest.mark.anyio
LOOKS = """\
import os
print([path for path in ("/", "/opt", "/etc", "/tmp", "/var/tmp") if os.access(path, os.W_OK)])
print(os.path.exists("/var/run/secrets/kubernetes.io/serviceaccount"))
"""
CANARY = "s3cret-canary-value"
GOLDEN = {
    "pods [get list watch create patch delete]",
    "pods/attach [get create]",
    "pods/log [get]",
}
FORBIDDEN = (
    ("get", "secrets"),
    ("list", "secrets", "--all-namespaces"),
    ("create", "pods", "--subresource=exec"),
    ("get", "pods", "--subresource=exec"),
    ("create", "pods", "--subresource=portforward"),
    ("create", "pods", "--subresource=ephemeralcontainers"),
    ("update", "pods"),
    ("deletecollection", "pods"),
    ("list", "pods", "--all-namespaces"),
    ("create", "pods", "--namespace=default"),
    ("create", "rolebindings"),
    ("get", "nodes"),
    ("impersonate", "serviceaccounts"),
)


def may(laboratory: KubernetesLaboratory, account: str) -> set[str]:
    """Return what ``kubectl auth can-i --list`` says of an account, resource and verbs of each row."""
    told = laboratory.home.kubectl("auth", "can-i", "--list", f"--as={_user(laboratory, account)}")
    return {re.sub(r"\s+\[.*(?=\[)", " ", line) for line in told.splitlines()[1:]}


def _user(laboratory: KubernetesLaboratory, account: str) -> str:
    return f"system:serviceaccount:{laboratory.home.namespace}:{account}"


async def test_the_account_may_do_what_the_golden_list_says_and_nothing_else(laboratory: KubernetesLaboratory) -> None:
    of_everybody = may(laboratory, "default")
    assert may(laboratory, ACCOUNT) - of_everybody == GOLDEN
    assert not any(row.startswith(("pods", "secrets", "*")) for row in of_everybody)


@pytest.mark.parametrize("what", FORBIDDEN, ids=" ".join)
async def test_the_account_may_neither_read_secrets_nor_run_programs_nor_leave_its_namespace(
    laboratory: KubernetesLaboratory, what: tuple[str, ...]
) -> None:
    as_it = f"--as={_user(laboratory, ACCOUNT)}"
    assert laboratory.home.kubectl("auth", "can-i", *what, as_it, check=False) == "no"


async def test_a_pod_that_runs_meets_the_restricted_standard_and_its_process_is_nobody(
    laboratory: KubernetesLaboratory,
) -> None:
    servers = laboratory.open()
    secret = [{"env": "GITHUB_TOKEN", "secret": "github", "key": "token"}]
    await servers.start(laboratory.spec("bare", secrets=secret))
    await settled(servers, "bare")
    async with servers.open("bare") as first, servers.open("bare") as second:
        assert await Speech(first).call("env", name="GITHUB_TOKEN") == CANARY
        assert await Speech(second).call("echo", text="here") == "here"
        pods: list[dict[str, Any]] = laboratory.home.pods(laboratory.owner)
        assert {one["metadata"]["labels"][ROLE] for one in pods} == {"main", "session"}
        for pod in pods:
            _meets_the_standard(pod)
            _is_nobody(laboratory, pod["metadata"]["name"])


def _meets_the_standard(pod: dict[str, Any]) -> None:
    """Look at the pod as the API server has it."""
    for control, met in RESTRICTED.items():
        assert met(pod), (control, pod["spec"])
    assert CANARY not in json.dumps(pod), "the pod names its secret, and nobody who reads it has the value"
    [variable] = [one for one in pod["spec"]["containers"][0]["env"] if one["name"] == "GITHUB_TOKEN"]
    assert variable["valueFrom"] == {"secretKeyRef": {"name": "github", "key": "token"}}


def _is_nobody(laboratory: KubernetesLaboratory, pod: str) -> None:
    """Look at the process itself."""
    status = laboratory.home.kubectl("exec", pod, "--", "cat", "/proc/1/status")
    told = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert (told["Uid"].split(), told["Gid"].split()) == (["65534"] * 4, ["65534"] * 4)
    assert {told[name] for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (told["NoNewPrivs"], told["Seccomp"]) == ("1", "2")
    looked = laboratory.home.kubectl("exec", pod, "--", "python", "-c", LOOKS)
    assert looked.splitlines() == ["['/tmp']", "False"], "it writes to its scratch alone, and has no account's token"
