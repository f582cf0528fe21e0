"""On a real Kubernetes cluster: a plain Deployment of an application nobody here wrote, and one annotation."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from . import shelf
from .cluster import installed, kubectl, load, namespace, read, ready
from .engine import AGENT, docker, needed, until

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: shelf}}
spec:
  replicas: 1
  strategy: {{type: Recreate}}
  selector: {{matchLabels: {{app: shelf}}}}
  template:
    metadata:
      labels: {{app: shelf}}
      annotations: {{{annotation}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - {{name: web, image: "{image}", imagePullPolicy: Never}}
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    ready()
    folder = tmp_path_factory.mktemp("shelf")
    shelf.write(folder / "context")
    tag = f"mystic-test/shelf:{secrets.token_hex(4)}"
    base = needed("MYSTIC_TEST_BASE_IMAGE", "image to build the application from")
    docker("build", "--quiet", "--build-arg", f"BASE_IMAGE={base}", "--tag", tag, str(folder / "context"))
    load(tag)
    yield tag
    docker("rmi", tag)


class Service:
    """The application in a namespace of its own."""

    def __init__(self, where: str, image: str) -> None:
        self.where, self.image = where, image

    def manifest(self, annotation: str = "") -> str:
        return DEPLOYMENT.format(image=self.image, annotation=annotation)

    def apply(self, manifest: str) -> None:
        kubectl("--namespace", self.where, "apply", "--filename", "-", given=manifest)
        self._settled()

    def restart(self) -> None:
        kubectl("--namespace", self.where, "rollout", "restart", "deployment/shelf")
        self._settled()

    def _settled(self) -> None:
        """Wait for the present template's pod; those of earlier ones need not be waited for."""
        of = ("--namespace", self.where)
        wanted = read(*of, "deployment", "shelf")["metadata"]["generation"]
        until(lambda: read(*of, "deployment", "shelf")["status"].get("observedGeneration") == wanted, "it is looked at")
        ended = [one["metadata"]["name"] for one in self._pods() if one["metadata"].get("deletionTimestamp")]
        if ended:
            kubectl(*of, "delete", "pods", *ended, "--grace-period=0", "--force", "--wait=false", check=False)
        kubectl(*of, "rollout", "status", "deployment/shelf", "--timeout=120s")

    def _pods(self) -> list[dict[str, Any]]:
        found = read("--namespace", self.where, "pods", "--selector", "app=shelf")["items"]
        assert isinstance(found, list)
        return found

    def pod(self) -> dict[str, Any]:
        [found] = [one for one in self._pods() if not one["metadata"].get("deletionTimestamp")]
        return found

    def listing(self) -> bytes:
        body: bytes = until(
            lambda: fetch(self.pod()["status"]["podIP"], shelf.PORT, shelf.PAGE), "the application answers"
        )
        assert body.count(b"#sha256=") == shelf.FILES
        return body


def fetch(host: str, port: int, path: str) -> bytes:
    """Return the body of a good answer, else nothing."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.read() if answer.status == 200 else b""
    except (OSError, http.client.HTTPException):
        return b""
    finally:
        connection.close()


def figures(host: str) -> dict[str, Any]:
    found = json.loads(fetch(host, 8899, f"/api/metrics/{shelf.DIGEST}") or b"{}")
    decisions = {one["decision"]: one["count"] for one in found.get("decisions", [])}
    return {"calls": found.get("call_count", 0), **decisions}


def call(host: str, tool: str, **arguments: Any) -> str:
    """Call one tool of the chat at the collector."""

    async def conversation() -> str:
        async with httpx2.AsyncClient(timeout=30, trust_env=False) as web:
            transport = streamable_http_client(f"http://{host}:8899/mcp", http_client=web)
            async with Client(transport) as client:
                result = await client.call_tool(tool, arguments)
                text = "\n".join(block.text for block in result.content if block.type == "text")
                assert not result.is_error, text
                return text

    return asyncio.run(conversation())


def webhooks_can_patch() -> bool:
    """Say whether this API server survives a webhook's patch.

    Those before 1.22, compiled with Go 1.18 or newer, do not: what writes the patch into the audit reads a map in the
    way of older Go (json-iterator with reflect2 below 1.0.2), and the process dies.
    """
    version = json.loads(kubectl("version", "--output", "json"))["serverVersion"]
    minor = int("".join(char for char in version["minor"] if char.isdigit()))
    return minor >= 22 or version["goVersion"] < "go1.18"


def inject(manifest: str, collector: str) -> str:
    """Return what ``mystic inject`` makes of a manifest."""
    told = {
        "MYSTIC_INJECT_HOST": collector,
        "MYSTIC_AGENT_IMAGE": AGENT,
        "MYSTIC_AGENT_PULL_POLICY": "Never",
    }
    command = [sys.executable, "-m", "mystic_agent.cli", "inject"]
    done = subprocess.run(
        command, input=manifest, capture_output=True, text=True, env={**os.environ, **told}, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_annotation_instruments_a_deployment_and_a_change_outlives_its_pods(image: str, tmp_path: Path) -> None:
    with installed(tmp_path) as collector, namespace(f"shelf-{secrets.token_hex(4)}") as where:
        service = Service(where, image)
        service.apply(service.manifest())
        assert "initContainers" not in service.pod()["spec"], "without the annotation a pod is what it was"
        until(reviewed, "the API server trusts the injector, and asks it about every pod")

        annotated = service.manifest('mystic.io/inject: "true"')
        if webhooks_can_patch():
            service.apply(annotated)
        else:
            print("this API server dies of a webhook's patch; 'mystic inject' makes the same change")
            service.apply(inject(annotated, collector))
        before = service.listing()
        until(lambda: figures(collector).get("calls") == shelf.FILES, "its functions appear with exact counts")
        [container] = service.pod()["spec"]["containers"]
        assert container["image"] == image

        told = call(collector, "hijack_function", function=shelf.DIGEST, strategy="cache", options={"ttl": "30m"})
        assert "attached in 1 of 1 processes" in told
        for _ in range(3):
            assert service.listing() == before
        until(lambda: figures(collector).get("hit") == 2 * shelf.FILES, "calls are answered by the cache")

        service.restart()
        service.listing()
        service.listing()
        until(lambda: figures(collector).get("hit") == 3 * shelf.FILES, "the change is there in the next pod")

        kubectl("--namespace", "mystic", "scale", "deployment/mystic-injector", "--replicas=0")
        until(lambda: _ended("mystic-injector"), "the injector has gone")
        service.apply(service.manifest('other: "one"'))
        assert service.listing() == before, "without the injector pods start as they are"


def reviewed() -> bool:
    log = kubectl("--namespace", "mystic", "logs", "deployment/mystic-injector")
    return "the API server trusts the certificate" in log and "left a pod as it is" in log


def _ended(name: str) -> bool:
    """Say whether no pod of that name is left; those that are ending need not be waited for."""
    pods = [one["metadata"]["name"] for one in _pods(name)]
    if pods:
        at_once = ("--grace-period=0", "--force", "--wait=false", "--ignore-not-found")
        kubectl("--namespace", "mystic", "delete", "pods", *pods, *at_once, check=False)
    return not pods


def _pods(name: str) -> list[dict[str, Any]]:
    found = read("--namespace", "mystic", "pods", "--selector", f"app.kubernetes.io/name={name}")["items"]
    assert isinstance(found, list)
    return found
