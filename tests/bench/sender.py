"""Posts prepared batches over keep-alive connections as fast as they are taken.

``python -m bench.sender PORT FILE [gzip]``

A post that is answered with 429 is sent again after a short pause, as an exporter does, and counted.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections import deque
from pathlib import Path

CONNECTIONS = 4
PAUSE_SECONDS = 0.05


class Sender:
    """What several threads send together.

    Attributes:
        waited: milliseconds of each post that was taken.
        refused: posts answered with 429.
    """

    def __init__(self, port: int, bodies: list[bytes], packed: bool) -> None:
        self.port = port
        self.left = deque(bodies)
        self.headers = {"Content-Type": "application/x-protobuf"} | ({"Content-Encoding": "gzip"} if packed else {})
        self.waited: list[float] = []
        self.refused = 0

    def run(self) -> None:
        """Send what is left, one post after another."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while self.left:
            try:
                body = self.left.popleft()
            except IndexError:
                break
            while not self._post(connection, body):
                self.refused += 1
                time.sleep(PAUSE_SECONDS)
        connection.close()

    def _post(self, connection: http.client.HTTPConnection, body: bytes) -> bool:
        began = time.perf_counter()
        connection.request("POST", "/v1/traces", body, self.headers)
        reply = connection.getresponse()
        reply.read()
        if reply.status == 429:
            return False
        if reply.status != 200:
            raise RuntimeError(f"the collector answered {reply.status}")
        self.waited.append((time.perf_counter() - began) * 1000)
        return True


def main(port: int, path: Path, packed: bool) -> None:
    """Send all bodies of the file; print the waiting times and how long it took to begin."""
    started, whole, bodies, at = time.monotonic(), path.read_bytes(), [], 0
    while at < len(whole):
        size = int.from_bytes(whole[at : at + 4], "big")
        bodies.append(whole[at + 4 : at + 4 + size])
        at += 4 + size
    sender = Sender(port, bodies, packed)
    threads = [threading.Thread(target=sender.run) for _ in range(CONNECTIONS)]
    began_after = time.monotonic() - started
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    waited = sorted(sender.waited)
    if len(waited) != len(bodies):
        sys.exit(f"{len(waited)} of {len(bodies)} batches were taken")
    figures = {"p50": waited[len(waited) // 2], "p99": waited[len(waited) * 99 // 100]}
    print(json.dumps(figures | {"refused": sender.refused, "began_after": began_after}))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), "gzip" in sys.argv[3:])
