"""The collector as a process of its own, on a port the system chooses: ``python -m bench.collector FOLDER``."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from mystic_collector.server import CollectorServer
from mystic_collector.settings import Settings


def main(folder: str) -> None:
    """Serve until killed; the port is printed once requests are answered."""
    server = CollectorServer(Settings(port=0, data_dir=Path(folder), project_root=Path(folder), log_level="error"))

    def say() -> None:
        server.ready.wait()
        print(server.address[1], flush=True)

    threading.Thread(target=say, daemon=True).start()
    server.run()


if __name__ == "__main__":
    main(sys.argv[1])
