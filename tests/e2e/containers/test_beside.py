"""One pod on a real cluster: an application nobody here wrote, the collector and the MCP sidecar beside it."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from . import shelf
from .cluster import MANIFESTS, kubectl, load, namespace, read, ready
from .engine import AGENT, COLLECTOR, PATIENCE, docker, images, needed, until
from .test_cluster import fetch
from .test_servers import SPEAKS

KEY = "open-sesame-" + secrets.token_hex(8)
CONTAINERS = ("application", "mystic", "mcp-sidecar")
TRACE, CALLER = "5a" * 16, "6b" * 8


@pytest.fixture
def address(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Apply the manifests, the application's image the only thing put in; yield namespace and the pod's address."""
    ready()
    images()
    application = f"mystic-test/shelf:{secrets.token_hex(4)}"
    shelf.write(tmp_path / "context")
    base = needed("MYSTIC_TEST_BASE_IMAGE", "image to build the application from")
    docker("build", "--quiet", "--build-arg", f"BASE_IMAGE={base}", "--tag", application, str(tmp_path / "context"))
    try:
        load(COLLECTOR, AGENT, application)
        with namespace(f"archon-{secrets.token_hex(4)}") as where:
            of = ("--namespace", where)
            kubectl(*of, "create", "secret", "generic", "mystic-api-key", f"--from-literal=api-key={KEY}")
            kubectl("apply", "--filename", "-", given=manifests(tmp_path, where, application))
            try:
                rolled = (*of, "rollout", "status", "deployment/application", "--timeout=60s")
                done = "successfully rolled out"
                until(lambda: done in kubectl(*rolled, check=False), "the pod with its three containers", 5 * PATIENCE)
                [pod] = read(*of, "pods", "--selector", "app.kubernetes.io/name=application")["items"]
                yield where, pod["status"]["podIP"]
            except BaseException:
                print(kubectl(*of, "describe", "pods", check=False)[-6000:])
                for container in CONTAINERS:
                    print(kubectl(*of, "logs", "deployment/application", "--container", container, check=False)[-3000:])
                raise
    finally:
        docker("rmi", application)


def manifests(folder: Path, where: str, application: str) -> str:
    """Return the manifests for another namespace, with images that are on the node and are not looked for elsewhere."""
    shutil.copytree(MANIFESTS / "sidecar", folder / "sidecar")
    listed = folder / "sidecar" / "kustomization.yaml"
    listed.write_text(listed.read_text().replace("  - namespace.yaml\n", ""))
    taken = {"gnosis-mystic": COLLECTOR, "gnosis-mystic-agent": AGENT, "application": application}
    named = [
        {"name": name, "newName": tag.partition(":")[0], "newTag": tag.partition(":")[2]} for name, tag in taken.items()
    ]
    here = "/spec/template/spec"
    never = [f"{here}/containers/{number}/imagePullPolicy" for number in range(3)]
    patch = [
        {"op": "add", "path": path, "value": "Never"} for path in (*never, f"{here}/initContainers/0/imagePullPolicy")
    ]
    variable = {"name": "MCP_SIDECAR_PULL_POLICY", "value": "Never"}
    patch.append({"op": "add", "path": f"{here}/containers/2/env/-", "value": variable})  # type: ignore[dict-item]
    target = {"group": "apps", "version": "v1", "kind": "Deployment", "name": "application"}
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": where,
        "resources": ["sidecar"],
        "images": named,
        "patches": [{"target": target, "patch": json.dumps(patch)}],
    }
    (folder / "kustomization.yaml").write_text(json.dumps(overlay))
    return kubectl("kustomize", str(folder))


class Collector:
    """What is asked of the collector in the pod."""

    def __init__(self, host: str) -> None:
        self._url = f"http://{host}:8899"
        self._headers = {"X-Mystic-Key": KEY, "traceparent": f"00-{TRACE}-{CALLER}-01"}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        found = httpx.request(
            method, self._url + path, json=body, headers=self._headers, timeout=PATIENCE, trust_env=False
        )
        assert found.is_success, found.text
        return found.json()

    def calls(self, function: str) -> int:
        found = httpx.get(f"{self._url}/api/metrics/{function}", headers=self._headers, trust_env=False)
        return int(found.json()["call_count"]) if found.is_success else 0

    def names(self) -> set[str]:
        """Return the names of the spans of the test's own trace."""
        found = httpx.get(f"{self._url}/api/traces/{TRACE}", headers=self._headers, trust_env=False)
        return {one["name"] for one in found.json()["spans"]} if found.is_success else set()


def test_an_application_is_seen_by_the_collector_in_its_pod_which_runs_servers_by_the_sidecar_in_it(
    address: tuple[str, str],
) -> None:
    where, host = address
    collector = Collector(host)
    body = until(lambda: fetch(host, shelf.PORT, shelf.PAGE), "the application answers")
    assert body.count(b"#sha256=") == shelf.FILES
    until(lambda: collector.calls(shelf.DIGEST) == shelf.FILES, "its functions appear with exact counts")
    assert httpx.get(f"http://{host}:8899/api/hijacked", trust_env=False).status_code == 401

    assert collector.ask("GET", "/api/mcp/health")["mode"] == "kubernetes"
    collector.ask("POST", "/api/mcp/servers", {"name": "inner", **SPEAKS})
    found = until(lambda: _settled(collector), "it has started", 2 * PATIENCE)
    assert found["state"] == "running", found
    pods = read("--namespace", where, "pods", "--selector", "app.kubernetes.io/name=mcp-server")["items"]
    assert [one["metadata"]["name"].startswith("archon-mcp-") for one in pods] == [True]
    said = collector.ask("POST", "/api/mcp/servers/inner/execute", {"tool": "echo", "arguments": {"text": "here"}})
    assert said["content"][0]["text"] == "here"
    wanted = {"start MCP server", "POST /mcp/start", "kubernetes apply pod", "wait until its pod runs"}
    until(lambda: wanted <= collector.names(), "the sidecar tells its part of the trace by what the two share")
    assert collector.ask("DELETE", "/api/mcp/servers/inner")["state"] == "stopped"


def _settled(collector: Collector) -> Any:
    found = collector.ask("GET", "/api/mcp/servers/inner?wait=10")
    return found if found["state"] != "starting" else None
