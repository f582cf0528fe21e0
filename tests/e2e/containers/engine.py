"""The images of this checkout, built once for all test processes, and projects run from them by Compose."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import http.client
import json
import os
import shlex
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
PATIENCE = 60.0
# By checkout: parallel runs of two of them must not take one another's images.
CHECKOUT = hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
COLLECTOR = f"mystic-test/collector:{CHECKOUT}"
AGENT = f"mystic-test/agent:{CHECKOUT}"
_LABEL = "io.gnosis-mystic.checkout"


def needed(variable: str, what: str) -> str:
    """Return the value of an environment variable, or skip the test."""
    value = os.environ.get(variable, "")
    if not value:
        pytest.skip(f"{variable} names no {what}")
    return value


def docker(*words: str, check: bool = True, **more: Any) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=600, **more)
    assert not check or done.returncode == 0, (
        f"docker {shlex.join(words)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    )
    return done.stdout.strip()


@functools.cache
def images() -> None:
    """Build the collector's and the agent's image of this checkout; one process builds, the others wait.

    What a build replaces goes, and so do the images of checkouts that are no more.
    """
    base = needed("MYSTIC_TEST_BASE_IMAGE", "image to build ours from")
    with open(Path(tempfile.gettempdir()) / f"mystic-test-images-{os.getuid()}.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _forget_the_gone()
        for tag, file in ((AGENT, "Dockerfile.agent"), (COLLECTOR, "Dockerfile")):
            given = ["--file", str(ROOT / "deploy" / file), "--build-arg", f"BASE_IMAGE={base}"]
            _build(_stage(tag), *given, "--target", "build")
            carrier = ["--build-arg", f"CARRIER_IMAGE={base}"] if tag == AGENT else []
            _build(tag, *given, *carrier, "--label", f"{_LABEL}={ROOT}")


def _stage(tag: str) -> str:
    """Return the tag of the stage that an image is built in; without one nobody would know whose it was."""
    return tag.replace(":", "-stage:")


def _build(tag: str, *more: str) -> None:
    before = docker("images", "--quiet", "--no-trunc", tag)
    made = docker("build", "--quiet", "--tag", tag, *more, str(ROOT)).split()[-1]
    if before and before != made:
        docker("rmi", before, check=False)  # a container of another run may still have it


def _forget_the_gone() -> None:
    listed = docker("images", "--filter", f"label={_LABEL}", "--format", "{{.Repository}}:{{.Tag}}").split()
    for tag in (one for one in listed if not one.endswith("<none>")):
        checkout = docker("image", "inspect", "--format", f'{{{{index .Config.Labels "{_LABEL}"}}}}', tag, check=False)
        if checkout and not Path(checkout).exists():
            docker("rmi", tag, _stage(tag), check=False)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def until(found: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Poll until ``found`` returns something true, and return it."""
    end = time.monotonic() + patience
    while True:
        value = found()
        if value or time.monotonic() > end:
            assert value, f"{what} within {patience:g} s"
            return value
        time.sleep(0.1)


def get(port: int, path: str, key: str = "") -> tuple[int, bytes]:
    """Return status and body; 0 when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"X-Mystic-Key": key} if key else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


class Project:
    """A project in a folder, run by its own ``docker-compose.mystic.yml``.

    Attributes:
        root: the folder.
        app: published port of the application.
        mystic: published port of the collector.
        files: Compose files, the later over the earlier.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name
        self.app, self.mystic = free_port(), free_port()
        self.files = ["docker-compose.mystic.yml"]
        self.environ = {
            **os.environ,
            "APP_PORT": str(self.app),
            "MYSTIC_PUBLISHED_PORT": str(self.mystic),
            "MYSTIC_IMAGE": COLLECTOR,
            "MYSTIC_AGENT_IMAGE": AGENT,
            "COMPOSE_PROJECT_NAME": name,
            "DOCKER_BUILDKIT": "0",
        }
        self._program = shlex.split(needed("MYSTIC_TEST_COMPOSE", "Compose"))

    @property
    def key(self) -> str:
        return (self.root / ".mystic/secrets/api_key").read_text().strip()

    def compose(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(
            [*self._program, *(word for file in self.files for word in ("-f", file)), *words],
            cwd=self.root,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert not check or done.returncode == 0, f"compose {shlex.join(words)}\n{done.stdout}\n{done.stderr[-4000:]}"
        return done.stdout

    def ask(self, path: str) -> Any:
        """Return the collector's answer, or None when it does not answer."""
        status, body = get(self.mystic, path, self.key)
        return json.loads(body) if status == 200 else None

    def decisions(self, function: str) -> dict[str, int]:
        found = self.ask(f"/api/metrics/{function}") or {"decisions": []}
        return {one["decision"]: one["count"] for one in found["decisions"]}

    def calls(self, function: str) -> int:
        found = self.ask(f"/api/metrics/{function}")
        return found["call_count"] if found else 0


@contextlib.contextmanager
def running(project: Project) -> Iterator[None]:
    """Start the project as the guide says, and leave nothing of it: no container, network or volume."""
    try:
        project.compose("up", "-d", "--wait", "--quiet-pull")
        yield
    except BaseException:
        print(project.compose("ps", "-a", check=False), project.compose("logs", "--tail", "50", check=False))
        raise
    finally:
        project.compose("down", "--volumes", "--remove-orphans", "--rmi", "local", "--timeout", "3", check=False)
    of_it = ("--filter", f"label=com.docker.compose.project={project.name}", "--quiet")
    assert docker("ps", "--all", *of_it) == ""
    assert docker("network", "ls", *of_it) == ""
    assert docker("volume", "ls", *of_it) == ""
