"""The manifests of an application with collector and sidecar in one pod are what a cluster takes."""

from __future__ import annotations

import copy
import json
import secrets
from pathlib import Path
from typing import Any

import pytest
import yaml

from ...e2e.containers.cluster import MANIFESTS, kubectl, namespace, ready
from .test_pod import RESTRICTED

FOLDERS = ("sidecar", "sidecar-native")


def _for_this_cluster(found: dict[str, Any]) -> dict[str, Any]:
    """Return an object without what native sidecars have beyond init containers, where a cluster does not know them."""
    version = json.loads(kubectl("version", "--output", "json"))["serverVersion"]["minor"]
    if int("".join(char for char in version if char.isdigit())) >= 29:
        return found
    changed = copy.deepcopy(found)
    for one in changed.get("spec", {}).get("template", {}).get("spec", {}).get("initContainers", []):
        for name in ("restartPolicy", "readinessProbe", "livenessProbe"):
            one.pop(name, None)
    return changed


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_cluster_takes_every_object_and_only_the_sidecar_gets_the_accounts_token(folder: str) -> None:
    ready()
    text = kubectl("kustomize", str(MANIFESTS / folder))
    objects = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(text)}
    with namespace(f"archon-{secrets.token_hex(4)}") as where:
        for one in objects.values():
            if "namespace" in one["metadata"]:
                one["metadata"]["namespace"] = where
            kubectl("apply", "--dry-run=server", "--filename", "-", given=yaml.safe_dump(_for_this_cluster(one)))
    pod = objects["Deployment", "application"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    every = [*pod.get("initContainers", []), *pod["containers"]]
    with_token = [
        one["name"] for one in every if any("serviceaccount" in mount["mountPath"] for mount in one["volumeMounts"])
    ]
    assert with_token == ["mcp-sidecar"]
    assert not any("docker.sock" in str(one) for one in objects.values())
    if folder == "sidecar-native":
        told = [(one["name"], one["restartPolicy"]) for one in pod["initContainers"] if "restartPolicy" in one]
        assert told == [("mystic", "Always"), ("mcp-sidecar", "Always")]


@pytest.mark.parametrize("control", sorted(set(RESTRICTED) - {"AppArmor", "Running as Non-root"}))
def test_the_applications_pod_meets_the_restricted_standard_too(control: str) -> None:
    text = (Path(MANIFESTS) / "sidecar" / "application.yaml").read_text()
    assert RESTRICTED[control](yaml.safe_load(text)["spec"]["template"])
