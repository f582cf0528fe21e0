"""Managed MCP servers as pods: the same through collector and sidecar, and the status from what its watch has seen.

Needs a cluster that KUBECONFIG names, and MYSTIC_TEST_KUBE_LOAD, a command that brings an image to its nodes; without
either it is left out.
"""

from __future__ import annotations

import os
import secrets
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from bench.figure import Figure
from bench.managed import KINDS, calls, ready, started
from bench.peer import PATIENCE, Peer, each
from bench.process import BESIDE, MEASURED, serving
from bench.settings import PROJECT, clean

STATUSES = 300
TITLE = "The same as pods, through the sidecar"


def figures(image: str) -> list[Figure]:
    """Measure with a Python image; nothing, and the reason on stderr, where there is no cluster."""
    load = shlex.split(os.environ.get("MYSTIC_TEST_KUBE_LOAD", ""))
    if not load:
        print("bench: pods are left out: MYSTIC_TEST_KUBE_LOAD brings no image to a cluster", file=sys.stderr)
        return []
    try:
        config.load_kube_config(persist_config=False)
        client.VersionApi().get_code()
    except (ConfigException, ApiException, HTTPError, OSError) as error:
        print(f"bench: pods are left out: no cluster answers ({type(error).__name__})", file=sys.stderr)
        return []
    subprocess.run([*load, image], check=True, capture_output=True, timeout=5 * PATIENCE)
    with _namespace(client.CoreV1Api(), image) as name, tempfile.TemporaryDirectory() as folder:
        return _measured(image, name, folder)


def _measured(image: str, name: str, folder: str) -> list[Figure]:
    token = secrets.token_hex(16)
    env = clean() | {"PYTHONPATH": str(PROJECT / "tests"), "MCP_SIDECAR_TOKEN": token}
    beside = [sys.executable, "-m", "bench.sidecar", name]
    with serving(beside, env, PROJECT, BESIDE) as sidecar:
        command = [sys.executable, "-m", "bench.collector", f"{folder}/data", f"http://127.0.0.1:{sidecar.port}"]
        with serving(command, env, PROJECT, MEASURED) as collector:
            api = Peer("127.0.0.1", collector.port)
            with started(api, image, "stdio"):
                pass  # what is imported and made once
            begun = [Figure(TITLE, f"{kind}, until it is ready", ready(api, image, kind) * 1e3, "ms") for kind in KINDS]
            with started(api, image, "http") as server, started(api, image, "stdio"):
                direct = Peer(server["facts"]["address"], server["spec"]["port"], "/mcp")
                asked = _statuses(api, Peer("127.0.0.1", sidecar.port, token=token), server["identity"], name)
                return [*begun, *asked, *calls(TITLE, api, direct)]


def _statuses(api: Peer, sidecar: Peer, pod: str, namespace: str) -> list[Figure]:
    """Return what the status takes, beside asking the API server for the same pod."""
    core = client.CoreV1Api()

    def asked() -> None:
        core.read_namespaced_pod(pod, namespace, _preload_content=False).release_conn()

    plain = each(asked, STATUSES)
    seen = each(lambda: sidecar.ask("GET", "/mcp/status?name=bench-http"), STATUSES)
    through = each(lambda: api.ask("GET", "/api/mcp/servers/bench-http"), STATUSES)
    return [
        Figure(TITLE, "the pod, asked of the API server each time", plain * 1e3, "ms"),
        Figure(TITLE, "status, from the sidecar's watch", seen * 1e3, "ms", None, seen / plain, "× asked"),
        Figure(TITLE, "status, through collector and sidecar", through * 1e3, "ms", None, through / plain, "× asked"),
    ]


@contextmanager
def _namespace(core: client.CoreV1Api, image: str) -> Iterator[str]:
    """Make a namespace that takes pods, and leave nothing of it."""
    name = f"mystic-bench-{secrets.token_hex(4)}"
    core.create_namespace({"metadata": {"name": name}})
    try:
        pod = {"metadata": {"name": "first"}, "spec": {"containers": [{"name": "first", "image": image}]}}
        end = time.monotonic() + PATIENCE
        while True:  # a namespace takes pods once it has its account, a moment later
            try:
                core.create_namespaced_pod(name, pod, dry_run="All")
                break
            except ApiException as error:
                if time.monotonic() > end:
                    raise RuntimeError(f"the namespace takes no pod: {error.reason}") from error
                time.sleep(0.1)
        yield name
    finally:
        core.delete_namespace(name)
