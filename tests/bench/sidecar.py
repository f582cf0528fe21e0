"""The sidecar as a process of its own, on a port the system chooses: ``python -m bench.sidecar NAMESPACE``."""

from __future__ import annotations

import os
import sys
import threading

from mystic_collector.sidecar.process import SidecarServer
from mystic_collector.sidecar.settings import SidecarSettings


def main(namespace: str) -> None:
    """Serve until killed; the port is printed once requests are answered."""
    token = os.environ["MCP_SIDECAR_TOKEN"]
    server = SidecarServer(SidecarSettings(port=0, token=token, namespace=namespace, pull_policy="Never", grace=0))

    def say() -> None:
        server.ready.wait()
        print(server.address[1], flush=True)

    threading.Thread(target=say, daemon=True).start()
    server.run()


if __name__ == "__main__":
    main(sys.argv[1])
