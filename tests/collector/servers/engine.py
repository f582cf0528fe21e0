"""A real Docker engine for tests: its image built once for all processes, and what is left counted."""

from __future__ import annotations

import asyncio
import fcntl
import functools
import hashlib
import io
import os
import secrets as randomness
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException, ImageNotFound
from mystic_collector.servers.docker.container import OWNER
from mystic_collector.servers.docker.servers import DockerServers
from mystic_collector.servers.secrets import from_folder

from .contract import Laboratory

FILES = Path(__file__).parent / "image"
REPOSITORY = "mystic-test/servers"


@functools.cache
def client() -> docker.DockerClient:
    """Return the engine's client, or skip the test."""
    try:
        found = docker.from_env(timeout=600)
        found.ping()
    except (DockerException, OSError) as error:
        pytest.skip(f"no Docker engine answers: {error}")
    return found


@functools.cache
def image() -> str:
    """Return the image of the servers, built unless it is there; one process builds, the others wait."""
    base = os.environ.get("MYSTIC_TEST_BASE_IMAGE", "")
    if not base:
        pytest.skip("MYSTIC_TEST_BASE_IMAGE names no image to build the servers' image from")
    engine = client()
    content = b"".join(path.read_bytes() for path in sorted(FILES.glob("*")) if path.is_file())
    content += str(engine.images.get(base).id).encode()
    tag = f"{REPOSITORY}:{hashlib.sha256(content).hexdigest()[:16]}"
    args = {"BASE_IMAGE": base}
    with _users() as users:
        users.add(os.getpid())
        try:
            engine.images.get(tag)
        except ImageNotFound:
            engine.images.build(fileobj=_context(), custom_context=True, tag=tag, buildargs=args, rm=True)
    return tag


def release() -> None:
    """Remove the image when no other process uses it; MYSTIC_TEST_KEEP_IMAGES keeps it for the next run."""
    if not image.cache_info().currsize:
        return
    with _users() as users:
        users.discard(os.getpid())
        if not users and not os.environ.get("MYSTIC_TEST_KEEP_IMAGES"):
            client().images.remove(image(), force=True)
    image.cache_clear()
    client().close()


@contextmanager
def _users() -> Iterator[set[int]]:
    """Yield the living processes that use the image, to be changed; one process at a time."""
    with open(Path(tempfile.gettempdir()) / f"mystic-test-image-{os.getuid()}.lock", "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        users = {int(pid) for pid in file.read().split() if Path(f"/proc/{pid}").exists()}
        try:
            yield users
        finally:
            file.truncate(0)
            file.write(" ".join(map(str, users)))


def _context() -> io.BytesIO:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path in sorted(FILES.glob("*")):
            if path.is_file():
                archive.add(path, path.name)
    packed.seek(0)
    return packed


class DockerLaboratory(Laboratory):
    def __init__(self, folder: Path, secrets: Path) -> None:
        self._image = image()
        self._secrets = from_folder(secrets)
        self.owner = randomness.token_hex(8)
        self._opened: list[DockerServers] = []

    def open(self, **more: object) -> DockerServers:
        limits = {"most": self.most, "most_sessions": self.most_sessions, **more}
        self._opened.append(DockerServers(self.owner, secrets=self._secrets, **limits))
        return self._opened[-1]

    def _containers(self) -> list[docker.models.containers.Container]:
        return client().containers.list(all=True, filters={"label": f"{OWNER}={self.owner}"}, ignore_removed=True)

    def left(self) -> list[str]:
        found = [one.name for one in self._containers()]
        return found + [one.name for one in client().networks.list(filters={"label": f"{OWNER}={self.owner}"})]

    def texts(self) -> str:
        return repr([one.attrs["Config"]["Labels"] for one in self._containers()])

    async def clean(self) -> None:
        for one in self._opened:
            await one.close()
        await asyncio.to_thread(self._remove)

    def _remove(self) -> None:
        for one in self._containers():
            one.remove(force=True, v=True)
        for network in client().networks.list(filters={"label": f"{OWNER}={self.owner}"}):
            network.remove()

    @property
    def image(self) -> str:
        return self._image
