"""A real Kubernetes cluster for tests: a namespace, the Role of the manifests, and a sidecar that has only that."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import json
import os
import secrets as randomness
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kubernetes import client, config
from mystic_collector.servers.secrets import from_folder
from mystic_collector.servers.sidecar import SidecarServers
from mystic_collector.sidecar.cluster import Cluster
from mystic_collector.sidecar.pod import OWNER
from mystic_collector.sidecar.process import SidecarServer
from mystic_collector.sidecar.servers import KubernetesServers
from mystic_collector.sidecar.settings import SidecarSettings

from ...e2e.containers.cluster import MANIFESTS, kubectl, load, namespace, read, ready
from ...e2e.containers.engine import until
from .contract import PATIENCE, Laboratory
from .engine import image

RBAC = MANIFESTS / "sidecar" / "rbac.yaml"
ACCOUNT = "mcp-sidecar"
TOKEN = "shared-by-two-containers"


@dataclass(frozen=True)
class Home:
    """A namespace with the sidecar's ServiceAccount, and the kubeconfig that is only that."""

    namespace: str
    kubeconfig: Path

    def kubectl(self, *words: str, **more: Any) -> str:
        return kubectl("--namespace", self.namespace, *words, **more)

    def pods(self, owner: str) -> list[dict[str, Any]]:
        found = read("--namespace", self.namespace, "pods", "--selector", f"{OWNER}={owner}")["items"]
        assert isinstance(found, list)
        return found

    def at(self, host: str) -> Path:
        """Return a kubeconfig that has the cluster at another address, such as a proxy's."""
        given = json.loads(self.kubeconfig.read_text())
        given["clusters"][0]["cluster"] |= {"server": host, "tls-server-name": "127.0.0.1"}
        path = self.kubeconfig.with_suffix(f".{randomness.token_hex(4)}")
        path.write_text(json.dumps(given))
        return path

    def cluster(self, host: str = "") -> Cluster:
        """Return the cluster as the ServiceAccount has it; at another address, such as a proxy's."""
        path = self.at(host) if host else self.kubeconfig

        def configured(context: str) -> tuple[client.Configuration, str]:
            found = client.Configuration()
            config.load_kube_config(str(path), client_configuration=found, persist_config=False)
            found.retries = 0
            return found, ""

        return Cluster(self.namespace, configure=configured)


@contextlib.contextmanager
def home(folder: Path) -> Iterator[Home]:
    """Make a namespace of this run, with what the manifests give the sidecar, and the servers' image on the node."""
    ready()
    tag = image()
    with namespace(f"archon-{randomness.token_hex(4)}") as name:
        kubectl("--namespace", name, "apply", "--filename", str(RBAC))
        kubectl(
            "--namespace", name, "create", "secret", "generic", "github", "--from-literal=token=s3cret-canary-value"
        )
        _loaded(tag)
        yield Home(name, kubeconfig(folder, name, ACCOUNT))


def _loaded(tag: str) -> None:
    """Bring the image to the node once in the life of a cluster, whoever asks."""
    cluster = read("namespace", "kube-system")["metadata"]["uid"]
    marker = Path(tempfile.gettempdir()) / f"mystic-test-loaded-{os.getuid()}"
    with open(marker, "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        if f"{cluster} {tag}" not in file.read().splitlines():
            load(tag)
            file.write(f"{cluster} {tag}\n")


def kubeconfig(folder: Path, where: str, account: str) -> Path:
    """Write a kubeconfig that is one ServiceAccount, with a token that the cluster issues for it."""
    given = json.loads(kubectl("config", "view", "--minify", "--raw", "--flatten", "--output", "json"))
    path = f"/api/v1/namespaces/{where}/serviceaccounts/{account}/token"
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}}
    answer = kubectl("create", "--raw", path, "--filename", "-", given=json.dumps(asked))
    token = json.loads(answer)["status"]["token"]
    assert json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))["sub"].endswith(f":{account}")
    found = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "own",
        "clusters": [{"name": "lab", "cluster": given["clusters"][0]["cluster"]}],
        "users": [{"name": account, "user": {"token": token}}],
        "contexts": [{"name": "own", "context": {"cluster": "lab", "user": account}}],
    }
    written = folder / f"{account}.kubeconfig"
    written.write_text(json.dumps(found))
    return written


class Beside:
    """A sidecar, served by a thread of this process."""

    def __init__(self, settings: SidecarSettings, cluster: Cluster, folder: Path | None = None) -> None:
        self.servers: KubernetesServers | None = None
        hide = from_folder(folder) if folder else None
        self._server = SidecarServer(settings, KubernetesServers(settings, {"": cluster}, hide))
        self._thread = threading.Thread(target=self._server.run, name="sidecar", daemon=True)
        self._thread.start()
        assert self._server.ready.wait(PATIENCE)
        self.url = "http://{}:{}".format(*self._server.address)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


class KubernetesLaboratory(Laboratory):
    home: Home

    def __init__(self, folder: Path, secrets: Path) -> None:
        self._secrets = secrets
        self.owner = f"archon-{randomness.token_hex(4)}"
        self.settings = SidecarSettings(
            port=0,
            token=TOKEN,
            namespace=self.home.namespace,
            prefix=self.owner,
            pull_policy="Never",
            grace=0,
            most=self.most,
            most_sessions=self.most_sessions,
        )
        self.beside: Beside | None = None
        self.opened: list[SidecarServers] = []

    def open(self, host: str = "", **more: Any) -> SidecarServers:
        if self.beside is not None:
            self.beside.stop()
        self.beside = Beside(replace(self.settings, **more), self.home.cluster(host), self._secrets)
        self.opened.append(SidecarServers(self.beside.url, lambda: TOKEN))
        return self.opened[-1]

    def left(self) -> list[str]:
        return [one["metadata"]["name"] for one in self.home.pods(self.owner)]

    def texts(self) -> str:
        found = [one["metadata"] for one in self.home.pods(self.owner)]
        return repr([(one["labels"], one["annotations"]) for one in found])

    async def clean(self) -> None:
        for one in self.opened:
            await one.close()
        if self.beside is not None:
            await asyncio.to_thread(self.beside.stop)
        await asyncio.to_thread(self.remove)

    def remove(self) -> None:
        of_it = ("delete", "pods", "--selector", f"{OWNER}={self.owner}", "--grace-period=0", "--force", "--wait=false")
        self.home.kubectl(*of_it)
        until(lambda: not self.left(), "no pod is left")

    @property
    def image(self) -> str:
        return image()
