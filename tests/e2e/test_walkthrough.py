"""The walk-through on a third-party application runs as its page says, and what it predicts comes true."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import free_port, until

from tests.house.console import PATIENCE, Console, Step, listens, steps

PAGE = Path(__file__).parents[2] / "docs" / "walkthrough.md"
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?")
_TIME = re.compile(r"#\s(?:ns|µs|ms|s|min|h|d)\b(?: \*)?")
VISIT = "python visit.py http://127.0.0.1:8000"
EACH_REQUEST, REQUESTS = "klaus.utils:ProxyFix.__call__", 201
_LOOKS = re.compile(r"mystic (?:cacheability|impact)")


def shape(text: str) -> str:
    """Return text without what differs from run to run: numbers, their units, how wide columns are."""
    text = re.sub(r"\b(?=[a-f]*\d)[0-9a-f]{12}\b", "ID", text)
    text = _TIME.sub("TIME", _NUMBER.sub("#", text))
    text = re.sub(r"#(?:%|/h| [KMG]i?B| B)|(?<= )-(?= )", "#", text)
    return re.sub(r"\s+", " ", text.replace("TIME/h", "TIME")).strip()


class Walk(Console):
    """Runs the page's commands in one folder, each in a shell that begins where the last ``cd`` did not go."""

    said: list[tuple[str, str]]
    measured: float = 0.0

    def run(self, step: Step) -> None:
        if step.command.endswith("&"):
            super().run(step)
            return
        deadline = time.monotonic() + PATIENCE
        while True:
            done = subprocess.run(
                ["/bin/sh", "-c", self._here(step.command)],
                cwd=self.folder,
                env=self.environment(),
                capture_output=True,
                text=True,
            )
            told = f"$ {step.command}\n{PAGE.name} says:\n{step.expected}\nit said:\n{done.stdout}{done.stderr}"
            assert done.returncode == 0, told
            if shape(done.stdout) == shape(step.expected) or WRITE:
                self.said.append((step.command, self._theirs(done.stdout)))
                return
            assert _LOOKS.match(step.command), told
            assert time.monotonic() < deadline, told
            time.sleep(0.2)

    def _theirs(self, text: str) -> str:
        for theirs, ours in self.ports.items():
            text = text.replace(ours, theirs)
        return text


WRITE = bool(os.environ.get("MYSTIC_TEST_WRITE_DOCS"))


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    made = Walk(tmp_path, {port: str(free_port()) for port in ("8899", "8000", "8001")})
    made.said = []
    yield made
    for process in made.background:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while listens(made.ports["8899"]):
        assert time.monotonic() < deadline, "the collector has not ended with its command"
        time.sleep(0.1)


def asked(walk: Walk, path: str) -> dict:
    with urllib.request.urlopen(f"http://127.0.0.1:{walk.ports['8899']}{path}", timeout=PATIENCE) as answer:
        return json.load(answer)


def test_the_walk_through_a_real_application_finds_caches_measures_and_exports(walk: Walk) -> None:
    page = PAGE.read_text(encoding="utf-8")
    [visitor] = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (walk.folder / "visit.py").write_text(visitor)
    function = "klaus.highlighting:highlight_or_render"
    before: dict = {}
    visits = 0
    for step in steps(page):
        if step.command.startswith("mystic hijack"):
            before = asked(walk, f"/api/analysis/cacheability/{function}?ttl=10m")
        walk.run(step)
        if step.command == VISIT:
            visits += 1
            until(lambda visits=visits: counted(walk, EACH_REQUEST) >= REQUESTS * visits, "all visits")  # type: ignore[misc]
    [predicted] = [row["hit_rate"] for row in before["predictions"] if row["ttl"] == 600]
    assert predicted == pytest.approx(walk.measured, abs=0.05)
    assert before["verdict"] == "unknown"
    assert "\n@mystic_exported.cached(600.0)\ndef highlight_or_render(" in (
        walk.folder / "klaus" / "highlighting.py"
    ).read_text(encoding="utf-8")
    if WRITE:
        write(page, walk.said)


def counted(walk: Walk, function: str) -> int:
    """Return how often a function was called, and remember what its cache did."""
    rows = asked(walk, "/api/metrics?limit=1000")["functions"]
    for row in rows:
        decisions = {one["decision"]: one["count"] for one in row["decisions"] if one["strategy"] == "cache"}
        if decisions:
            walk.measured = decisions.get("hit", 0) / sum(decisions.values())
    return next((row["call_count"] for row in rows if row["name"] == function), 0)


def write(page: str, said: list[tuple[str, str]]) -> None:
    """Put what the commands have said into the page."""
    at = 0
    for command, text in said:
        line = f"$ {command}\n"
        at = page.index(line, at) + len(line)
        following = re.compile(r"^(?:\$ |```)", re.MULTILINE).search(page, at)
        assert following is not None
        shown = "\n".join(line.rstrip() for line in text.rstrip().split("\n")) + "\n" if text.strip() else ""
        page = page[:at] + shown + page[following.start() :]
    PAGE.write_text(page, encoding="utf-8")
