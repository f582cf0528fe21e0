"""A document's ``console`` blocks: commands with the output that readers are told to expect, run in order."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

PATIENCE = 20.0
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_VARIES = (
    (re.compile(r"(?<![\w.])(\d+(?:\\\.\d+)?)\\? (µs|ms|s|h)(?!\w)"), r"[\\d.]+ (?:µs|ms|s|h)"),
    (re.compile(r"\d+\\\.\d+%"), r"[\\d.]+%"),
    (re.compile(r"(?<=\bshop )\d{4,7}\b|(?<=pid )\d{4,7}\b"), r"\\d+"),  # a process id
    (re.compile(r"\b[0-9a-f]{16}\b"), r"[0-9a-f]{16}"),  # an instance
    (re.compile(r"(?<!\w)defined in (?=shop)"), r"defined in \\S*"),
)
_IDENTITY = re.compile(r"\b(?=[a-f]*\d)[0-9a-f]{12}\b")


class Step(NamedTuple):
    """One command and what it is said to print."""

    command: str
    expected: str


def steps(document: str) -> list[Step]:
    """Return the commands of all console blocks, in order."""
    found = []
    for block in _BLOCK.findall(document):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            found.append(Step(command, expected))
    return found


@dataclass
class Console:
    """A shell in ``folder`` that knows which of the document's ports and hijack ids are which here.

    Attributes:
        ports: the document's port → ours.
        names: the document's hijack id → ours; learned from outputs.
    """

    folder: Path
    ports: dict[str, str]
    names: dict[str, str] = field(default_factory=dict)
    background: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self, step: Step) -> None:
        """Run one command; fail with both texts when its output is not as the document says.

        Commands that only look are repeated for a while, because figures arrive once a second.
        """
        command = self._here(step.command)
        if command.endswith("&"):
            self._start(command[:-1], step.expected)
            self._until_served(ours for theirs, ours in self.ports.items() if theirs in step.command)
            return
        looks = re.match(r"mystic (status|explain|inspect|logs|snapshots)|curl -s http\S+$", command) is not None
        deadline = time.monotonic() + PATIENCE
        while True:
            done = subprocess.run(
                ["/bin/sh", "-c", command], cwd=self.folder, env=self.environment(), capture_output=True, text=True
            )
            if self._matches(step.expected, done.stdout):
                return
            told = f"$ {step.command}\nREADME says:\n{step.expected}\nit said:\n{done.stdout}{done.stderr}"
            assert looks, told
            assert time.monotonic() < deadline, told
            time.sleep(0.1)

    def end(self) -> None:
        """End what was started in the background, and wait for the collector that came with it."""
        for process in self.background:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)

    def environment(self) -> dict[str, str]:
        """Return the environment of the commands: nothing of ours but the port, the programs of this environment."""
        ours = ("MYSTIC_", "PYTHON", "OTEL_", "PROJECT_ROOT", "LOG_LEVEL", "COV_", "VIRTUAL_ENV")
        plain = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
        path = os.pathsep.join([str(self.folder / "bin"), str(Path(sys.executable).parent), plain.get("PATH", "")])
        return plain | {"PATH": path, "MYSTIC_PORT": self.ports["8899"]}

    def _start(self, command: str, expected: str) -> None:
        log = self.folder / f"background-{len(self.background)}.log"
        with log.open("wb") as output:
            self.background.append(
                subprocess.Popen(
                    ["/bin/sh", "-c", f"exec {command}"],
                    cwd=self.folder,
                    env=self.environment(),
                    stdout=output,
                    stderr=output,
                )
            )
        deadline = time.monotonic() + PATIENCE
        while not self._matches(expected, log.read_text()):
            assert self.background[-1].poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)

    def _until_served(self, ports: Iterable[str]) -> None:
        deadline = time.monotonic() + PATIENCE
        for port in ports:
            while not listens(port):
                assert time.monotonic() < deadline, f"nothing listens at {port}"
                time.sleep(0.05)

    def _here(self, text: str) -> str:
        for theirs, ours in {**self.ports, **self.names}.items():
            text = re.sub(rf"\b{theirs}\b", ours, text)
        return text

    def _matches(self, expected: str, said: str) -> bool:
        names: list[str] = []
        match = re.fullmatch(self._pattern(self._here(expected), names), _squeeze(said))
        if match is None:
            return False
        self.names.update(zip(names, match.groups(), strict=True))
        return True

    def _pattern(self, expected: str, names: list[str]) -> str:
        """Return a regular expression for ``expected``: counts exact; times, new ids and what ``…`` stands for free."""
        text = re.escape(_squeeze(expected)).replace("\\ ", " ").replace("…", ".*")
        for found, free in _VARIES:
            text = found.sub(free, text)

        def identity(match: re.Match[str]) -> str:
            if match[0] in self.names.values():
                return match[0]
            names.append(match[0])
            return "([0-9a-f]{12})"

        return _IDENTITY.sub(identity, text)


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def listens(port: str) -> bool:
    """True when something listens there on this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) == 0
