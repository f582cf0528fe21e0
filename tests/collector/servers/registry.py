"""An image registry of the tests' own, on loopback: one image, whose layer comes as slowly as the test wants.

Format: https://distribution.github.io/distribution/spec/api/, https://github.com/opencontainers/image-spec.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME = "slow/nothing"
PATIENCE = 120.0
_SIZE = 2 * 2**20
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def _layer() -> tuple[bytes, str]:
    """Return a layer with one file that does not compress, and the digest of what is in it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("nothing")
        entry.size = _SIZE
        archive.addfile(entry, io.BytesIO(os.urandom(_SIZE)))
    return gzip.compress(packed.getvalue(), 1), _digest(packed.getvalue())


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Registry(ThreadingHTTPServer):
    """Serves the image; its layer stops half-way until :attr:`rest` is set.

    Attributes:
        reference: what an engine on this machine pulls.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.rest = threading.Event()
        self.reference = f"127.0.0.1:{self.server_address[1]}/{NAME}:1"
        self.layer, content = _layer()
        config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [content]}}
        self.blobs = {_digest(self.layer): self.layer}
        encoded = json.dumps(config).encode()
        self.blobs[_digest(encoded)] = encoded
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": _described("application/vnd.docker.container.image.v1+json", encoded),
                "layers": [_described("application/vnd.docker.image.rootfs.diff.tar.gzip", self.layer)],
            }
        ).encode()


def _described(kind: str, data: bytes) -> dict[str, object]:
    return {"mediaType": kind, "size": len(data), "digest": _digest(data)}


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Registry

    def do_GET(self) -> None:
        last = self.path.rpartition("/")[2]
        if self.path == "/v2/":
            self._send(b"{}", "application/json")
        elif "/manifests/" in self.path:
            self._send(self.server.manifest, _MANIFEST)
        elif last in self.server.blobs:
            self._send(self.server.blobs[last], "application/octet-stream")
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def _send(self, data: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Docker-Content-Digest", _digest(data))
        self.end_headers()
        if self.command == "HEAD":
            return
        half = len(data) // 2 if data is self.server.layer else 0
        try:
            self.wfile.write(data[:half])
            if half:
                self.server.rest.wait(PATIENCE)
            self.wfile.write(data[half:])
        except OSError:
            self.close_connection = True  # whoever pulled has given up

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def registry() -> Iterator[Registry]:
    """Serve until left; nothing waits then."""
    with Registry() as found:
        thread = threading.Thread(target=found.serve_forever, name="registry")
        thread.start()
        try:
            yield found
        finally:
            found.rest.set()
            found.shutdown()
            thread.join()
