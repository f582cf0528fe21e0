"""Every manifest and overlay, judged by a real API server before anybody applies it."""

from __future__ import annotations

import json
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from .cluster import MANIFESTS, kubectl, ready

ROOTS = sorted({file.parent for file in MANIFESTS.rglob("*.yaml")})
POD_KINDS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "Pod")


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """A namespace to judge namespaced objects in; nothing is ever made there."""
    ready()
    name = f"mystic-judged-{secrets.token_hex(4)}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def rendered(folder: Path, namespace: str, scratch: Path) -> str:
    """Return a folder's objects as kustomize gives them, moved to another namespace."""
    copied = scratch / "kubernetes"
    shutil.copytree(MANIFESTS, copied)
    inside = copied / folder.relative_to(MANIFESTS)
    if not (inside / "kustomization.yaml").exists():
        listed = [file.name for file in inside.glob("*.yaml")]
        (inside / "kustomization.yaml").write_text(yaml.safe_dump({"resources": sorted(listed)}))
    overlay = scratch / "overlay"
    overlay.mkdir()
    base = Path("..") / inside.relative_to(scratch)
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump({"namespace": namespace, "resources": [str(base)]}))
    return kubectl("kustomize", str(overlay))


def readable(one: dict[str, Any]) -> dict[str, Any]:
    """Return an object as an API server before 1.29 can judge it: native sidecars as the containers they are else."""
    pod = one.get("spec", {}).get("template", {}).get("spec", {})
    native = [each for each in pod.get("initContainers", []) if "restartPolicy" in each]
    if native and int(re.sub(r"\D", "", json.loads(kubectl("version", "-o", "json"))["serverVersion"]["minor"])) < 29:
        for each in native:
            assert each.pop("restartPolicy") == "Always"
            pod["initContainers"].remove(each)
            pod["containers"].append(each)
    return one


@pytest.mark.parametrize("folder", ROOTS, ids=lambda folder: str(folder.relative_to(MANIFESTS)))
def test_the_api_server_takes_every_object(folder: Path, elsewhere: str, tmp_path: Path) -> None:
    objects = list(yaml.safe_load_all(rendered(folder, elsewhere, tmp_path)))
    assert objects
    for one in objects:
        if one["kind"] != "Namespace":
            said = kubectl("apply", "--dry-run=server", "--filename", "-", given=yaml.safe_dump(readable(one)))
            assert "server dry run" in said, said


@pytest.mark.parametrize("folder", ROOTS, ids=lambda folder: str(folder.relative_to(MANIFESTS)))
def test_every_pod_fits_the_restricted_level(folder: Path, elsewhere: str, tmp_path: Path) -> None:
    for one in yaml.safe_load_all(rendered(folder, elsewhere, tmp_path)):
        if one["kind"] not in POD_KINDS:
            continue
        spec = one["spec"] if one["kind"] == "Pod" else one["spec"]["template"]["spec"]
        of_pod = spec["securityContext"]
        assert of_pod["runAsNonRoot"] is True
        assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        assert not [volume for volume in spec.get("volumes", []) if "hostPath" in volume]
        for container in (*spec["containers"], *spec.get("initContainers", [])):
            rights = container["securityContext"]
            assert rights["allowPrivilegeEscalation"] is False
            assert rights["readOnlyRootFilesystem"] is True
            assert rights["capabilities"] == {"drop": ["ALL"]}
            assert {"cpu", "memory"} == container["resources"]["limits"].keys()
