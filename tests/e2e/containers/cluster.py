"""A real cluster with this checkout's manifests and images in it."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .engine import AGENT, COLLECTOR, ROOT, images, needed, until

MANIFESTS = ROOT / "deploy" / "kubernetes"
OVERLAY = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: mystic
bases: [base]
images:
  - {{name: gnosis-mystic, newName: {image}, newTag: "{tag}"}}
patchesStrategicMerge:
  - |-
    apiVersion: apps/v1
    kind: StatefulSet
    metadata: {{name: mystic}}
    spec:
      template:
        spec:
          containers:
            - name: mystic
              imagePullPolicy: Never
              env: [{{name: MYSTIC_ALLOWED_HOSTS, value: "{address}"}}]
  - |-
    apiVersion: apps/v1
    kind: Deployment
    metadata: {{name: mystic-injector}}
    spec:
      template:
        spec:
          containers:
            - name: injector
              imagePullPolicy: Never
              env:
                - {{name: MYSTIC_AGENT_IMAGE, value: "{agent}"}}
                - {{name: MYSTIC_AGENT_PULL_POLICY, value: Never}}
                # Where a cluster has no names for services, they are told by their addresses.
                - {{name: MYSTIC_INJECT_HOST, value: "{address}"}}
"""


def kubectl(*words: str, given: str = "", check: bool = True) -> str:
    done = subprocess.run(["kubectl", *words], input=given, capture_output=True, text=True, timeout=180)
    said = f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    assert not check or done.returncode == 0, f"kubectl {shlex.join(words)}\n{said}"
    return done.stdout.strip()


def read(*words: str) -> dict[str, Any]:
    found = json.loads(kubectl("get", *words, "--output", "json"))
    assert isinstance(found, dict)
    return found


def ready() -> None:
    """Skip the test unless a cluster answers and takes images."""
    needed("KUBECONFIG", "cluster")
    needed("MYSTIC_TEST_KUBE_LOAD", "command that brings images to the cluster")
    if subprocess.run(["kubectl", "version", "--request-timeout=5s"], capture_output=True).returncode:
        pytest.skip("the cluster of KUBECONFIG does not answer")


def load(*tags: str) -> None:
    """Bring images to the cluster's node."""
    done = subprocess.run([*shlex.split(os.environ["MYSTIC_TEST_KUBE_LOAD"]), *tags], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@contextmanager
def namespace(name: str) -> Iterator[str]:
    """Make a namespace in which pods can start, and leave nothing of it."""
    kubectl("create", "namespace", name)
    try:
        account = ("--namespace", name, "get", "serviceaccount", "default", "--ignore-not-found", "--output", "name")
        until(lambda: kubectl(*account), "the namespace has its account")
        until(lambda: "token" in kubectl("--namespace", name, "get", "secrets", check=False), "the account has a token")
        yield name
    finally:
        at_once = ("--all", "--grace-period=0", "--force", "--wait=false")
        for kinds in ("deployments,statefulsets,replicasets", "pods"):
            kubectl("--namespace", name, "delete", kinds, *at_once, check=False)
        kubectl("delete", "namespace", name, "--wait=false", check=False)
        until(lambda: not kubectl("--namespace", name, "get", "pods", "--output", "name"), "no pod is left")


@contextmanager
def installed(folder: Path) -> Iterator[str]:
    """Apply the base with this checkout's images; the address of the collector, which the cluster's nodes reach.

    There is one such installation in a cluster, so test processes take turns.
    """
    images()
    with open(Path(tempfile.gettempdir()) / f"mystic-test-cluster-{os.getuid()}.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        load(COLLECTOR, AGENT)
        with namespace("mystic"):
            address = _service_address()
            manifests = _manifests(folder, address)
            try:
                kubectl("apply", "--filename", "-", given=manifests)
                for part in ("statefulset/mystic", "deployment/mystic-injector"):
                    kubectl("--namespace", "mystic", "rollout", "status", part, "--timeout=120s")
                yield address
            except BaseException:
                print(kubectl("--namespace", "mystic", "describe", "pods", check=False)[-6000:])
                for part in ("statefulset/mystic", "deployment/mystic-injector"):
                    print(kubectl("--namespace", "mystic", "logs", part, "--tail=30", check=False))
                raise
            finally:
                kubectl("delete", "--filename", "-", "--wait=false", "--ignore-not-found", given=manifests, check=False)


def _service_address() -> str:
    """Make the collector's Service before the rest, so that its address can be told to the rest."""
    [service, *_] = (MANIFESTS / "base" / "collector.yaml").read_text().split("---")
    kubectl("--namespace", "mystic", "apply", "--filename", "-", given=service)
    address: str = read("--namespace", "mystic", "service", "mystic")["spec"]["clusterIP"]
    return address


def _manifests(folder: Path, address: str) -> str:
    """Return the base with this checkout's images and the collector's address."""
    shutil.copytree(MANIFESTS / "base", folder / "base")
    image, _, tag = COLLECTOR.partition(":")
    overlay = OVERLAY.format(image=image, tag=tag, agent=AGENT, address=address)
    (folder / "kustomization.yaml").write_text(overlay)
    return kubectl("kustomize", str(folder))
