"""The collector as a process of its own, on a port the system chooses: ``python -m bench.collector FOLDER``.

With a further argument, the address of a sidecar, that runs its managed servers.
"""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

from mystic_collector.server import CollectorServer
from mystic_collector.settings import Settings


def main(folder: str, sidecar: str = "") -> None:
    """Serve until killed, with managed servers by the sidecar at that address if one is given; the port is printed."""
    chosen = Settings(port=0, data_dir=Path(folder), project_root=Path(folder), log_level="error")
    if sidecar:
        token = os.environ["MCP_SIDECAR_TOKEN"]
        chosen = replace(chosen, servers="sidecar", sidecar_url=sidecar, sidecar_token=token)
    server = CollectorServer(chosen)

    def say() -> None:
        server.ready.wait()
        print(server.address[1], flush=True)

    threading.Thread(target=say, daemon=True).start()
    server.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
