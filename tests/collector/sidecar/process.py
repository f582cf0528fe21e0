"""``mystic mcp-sidecar`` as a process of its own, to be told to end, or killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from ..servers.cluster import TOKEN, KubernetesLaboratory
from ..servers.contract import PATIENCE


@pytest.fixture
def environment(laboratory: KubernetesLaboratory) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MYSTIC_", "MCP_", "KUBERN"))}
    return {
        **kept,
        "KUBECONFIG": str(laboratory.home.kubeconfig),
        "KUBERNETES_NAMESPACE": laboratory.home.namespace,
        "MCP_SIDECAR_PORT": "0",
        "MCP_SIDECAR_TOKEN": TOKEN,
        "MCP_SIDECAR_PREFIX": laboratory.owner,
        "MCP_SIDECAR_PULL_POLICY": "Never",
        "MCP_SIDECAR_GRACE": "0",
    }


class Process:
    """``mystic mcp-sidecar`` as a process of its own."""

    def __init__(self, environ: dict[str, str]) -> None:
        command = [sys.executable, "-m", "mystic_agent.cli", "mcp-sidecar"]
        self._process = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if "listening on " in line:
                self.url = line.split("listening on ")[1].strip()
                return
        raise AssertionError(self._process.wait(PATIENCE))

    def end(self, sig: signal.Signals) -> int:
        """Send a signal; return the exit code."""
        self._process.send_signal(sig)
        code = self._process.wait(PATIENCE)
        assert self._process.stderr is not None
        self._process.stderr.close()
        return code

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.end(signal.SIGKILL)
