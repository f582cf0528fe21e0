"""The sidecar guide, command by command: each as ``docs/containers.md`` has it, at a terminal, in a running project."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mystic_collector.version import VERSION

from .engine import COLLECTOR, PATIENCE, ROOT, Project, images, needed, running, until
from .shelf import DIGEST, FILES, write
from .test_quick_start import COMPOSE, listing

WELL = ("to the collector: ", "back from it: the stream opens", "answers by MCP with 20 tools", "1 processes listen")
SAYS = {
    "mystic init": ("docker-compose.mystic.yml", "Dockerfile.mystic", "mystic_server.py", "mystic_integration.py"),
    "docker compose up -d": (),
    "docker compose ps": ("(healthy)",),
    "docker compose logs -f mystic": ("listening on http://0.0.0.0:8899",),
    "docker compose exec mystic sh": ("is 42",),
    "docker compose exec mystic mystic doctor": WELL,
    "docker compose exec app sh -c 'env | grep MYSTIC'": ("MYSTIC_HOST=mystic", "MYSTIC_PORT=8899"),
    "docker compose exec app env PYTHONPATH=/mystic python -m mystic_agent.cli doctor": WELL,
    "docker compose exec mystic ls -la /app": ("docker-compose.yml", "packages"),
    'docker compose exec mystic python -c "import sys; print(sys.path)"': ("site-packages",),
    'curl -H "X-Mystic-Key: $(cat .mystic/secrets/api_key)" http://localhost:8899/api/hijacked': ('"count":0',),
    'curl -H "X-Mystic-Key: $(cat .mystic/secrets/api_key)" http://localhost:8899/api/metrics': (DIGEST,),
    "docker compose exec mystic mystic health": (),
    "docker ps --filter ancestor=gnosis-mystic:0.1.0": ("-mystic-1",),
    "docker run --rm -it --network shop_mystic gnosis-mystic:0.1.0 python -c \"print('MCP test successful')\"": (
        "MCP test successful",
    ),
    "docker run --rm -it --network shop_mystic --env MYSTIC_HOST=mystic --env MYSTIC_API_KEY_FILE=/key "
    '-v "$PWD/.mystic/secrets/api_key:/key:ro" gnosis-mystic:0.1.0 doctor': WELL,
}
"""Command → what it says."""

TYPED = {"docker compose exec mystic sh": b"echo is $((6*7))\nexit\n"}
ENDLESS = ("docker compose logs -f mystic",)
DOCKER = """\
#!/bin/sh
if [ "$1" = compose ]; then shift; exec {compose} "$@"; fi
exec {docker} "$@"
"""


def commands() -> list[str]:
    """Return the second column of the page's table."""
    page = (ROOT / "docs" / "containers.md").read_text(encoding="utf-8")
    [section] = re.findall(r"^## The sidecar guide.*?(?=^## )", page, re.MULTILINE | re.DOTALL)
    rows = [re.split(r"(?<!\\)\|", line) for line in section.splitlines() if line.startswith("|")]
    found = [row[2].strip() for row in rows if row[2].strip().startswith("`")]
    return [one.strip("`").replace("\\|", "|") for one in found]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    images()
    name = f"shelf-{secrets.token_hex(4)}"
    root = tmp_path / name
    write(root)
    (root / "stock.py").write_text("def count(item):\n    return len(item)\n")
    base = needed("MYSTIC_TEST_BASE_IMAGE", "image")
    (root / "docker-compose.yml").write_text(COMPOSE.format(base=base).replace("index:", "app:"))
    found = Project(root, name)
    programs = tmp_path / "bin"
    programs.mkdir()
    compose, docker = os.environ["MYSTIC_TEST_COMPOSE"], shutil.which("docker")
    (programs / "docker").write_text(DOCKER.format(compose=compose, docker=docker))
    (programs / "docker").chmod(0o755)
    path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    found.environ |= {"PATH": path, "COMPOSE_FILE": "docker-compose.mystic.yml", "TERM": "dumb"}
    return found


def typed(project: Project, command: str) -> str:
    """Run a command at a terminal and return what that shows; one that does not end is interrupted."""
    line = command.replace(f"gnosis-mystic:{VERSION}", COLLECTOR)
    line = line.replace("shop_mystic", f"{project.name}_mystic").replace(":8899/", f":{project.mystic}/")
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        ["sh", "-c", line],
        cwd=project.root,
        env=project.environ,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    os.write(ours, TYPED.get(command, b""))
    shown, end = b"", time.monotonic() + PATIENCE
    with contextlib.suppress(OSError):  # a terminal whose programs have gone
        while time.monotonic() < end and (more := os.read(ours, 65536)):
            shown += more
            if command in ENDLESS and all(text.encode() in shown for text in SAYS[command]):
                os.killpg(process.pid, signal.SIGINT)
    os.close(ours)
    code = process.wait(PATIENCE)
    text = shown.decode(errors="replace")
    assert code == 0 or command in ENDLESS, f"{line}\n{text}"
    return text


def test_every_command_of_the_guide_works_as_the_page_has_it_and_the_doctor_finds_nothing_amiss(
    project: Project,
) -> None:
    assert commands() == list(SAYS)
    first, *others = SAYS
    said = {first: typed(project, first)}
    with running(project):
        listing(project)
        until(lambda: project.calls(DIGEST) == FILES, "the figures arrive")
        said |= {command: typed(project, command) for command in others}
    for command, texts in SAYS.items():
        assert not [text for text in texts if text not in said[command]], f"{command}\n{said[command]}"
        if "doctor" in command:
            amiss = [line for line in said[command].splitlines() if re.match(r"\W*(\[\d+m)?(warn|fail)", line)]
            assert amiss == [], command
