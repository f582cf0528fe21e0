"""What the README tells people to type works, prints what it says, and leaves nothing out."""

from __future__ import annotations

import argparse
import re
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import mystic_agent.settings as agent
import mystic_collector.engine as engine
import mystic_collector.meeting as meeting
import mystic_collector.settings as collector
import pytest
from mystic_agent.cli.extension import Extensions
from mystic_agent.cli.program import OWN
from mystic_agent.contract.strategy import STRATEGIES
from mystic_collector.openapi import describe

from tests.house.console import PATIENCE, Console, listens, steps

VARIABLE = re.compile(r"\b(MYSTIC_[A-Z_]+|MCP_SIDECAR_[A-Z_]+|KUBERNETES_NAMESPACE|PROJECT_ROOT|LOG_LEVEL)\b")
# Stands in for curl where there is none.
CURL = """#!{python}
import sys, urllib.request
words = sys.argv[1:]
method = words[words.index("-X") + 1] if "-X" in words else None
data = words[words.index("-d") + 1].encode() if "-d" in words else None
[url] = [word for word in words if word.startswith("http://")]
try:
    answer = urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=20)
except urllib.error.HTTPError as error:
    answer = error
sys.stdout.write(answer.read().decode())
"""


@pytest.fixture(scope="module")
def readme(root: Path) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    (tmp_path / "bin").mkdir()
    if shutil.which("curl") is None:
        curl = tmp_path / "bin" / "curl"
        curl.write_text(CURL.format(python=sys.executable))
        curl.chmod(0o755)
    console = Console(tmp_path, {"8899": free_port(), "8000": free_port()})
    yield console
    console.end()
    deadline = time.monotonic() + PATIENCE
    while listens(console.ports["8899"]):
        assert time.monotonic() < deadline, "the collector that 'mystic run' started has not ended with its command"
        time.sleep(0.1)


def test_every_command_of_the_readme_prints_what_the_readme_says(readme: str, console: Console) -> None:
    [application] = re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    (console.folder / "shop.py").write_text(application)
    told = steps(readme)
    assert len(told) > 10
    for step in told:
        console.run(step)


def table(readme: str) -> dict[str, tuple[str, str]]:
    """Return variable → (default, who reads it) of the settings table."""
    who = "agent|collector|both|image|injector|sidecar"
    rows = re.findall(rf"^\| `([A-Z_]+)` \| (?:`([^`]*)`)? ?\| ({who}) \|", readme, re.MULTILINE)
    return {name: (default, who) for name, default, who in rows}


def read_by(source: Path) -> set[str]:
    return {name for name in VARIABLE.findall(source.read_text(encoding="utf-8")) if not name.endswith("_")}


def test_the_settings_table_names_every_variable_and_who_reads_it(readme: str) -> None:
    told = table(readme)
    by_agent = read_by(Path(agent.__file__))
    by_collector = set[str]().union(*(read_by(Path(one.__file__)) for one in (collector, engine, meeting)))
    assert {name for name, (_, who) in told.items() if who in ("agent", "both")} == by_agent
    assert {name for name, (_, who) in told.items() if who in ("collector", "both")} == by_collector


def test_every_variable_that_the_code_or_the_readme_names_is_in_the_table(readme: str, root: Path) -> None:
    told = table(readme)
    for folder in ("agent", "collector", "sitecustomize", "deploy"):
        for source in (root / folder).rglob("*.py"):
            assert read_by(source) <= told.keys(), source
    assert set(VARIABLE.findall(readme)) == told.keys()


def test_every_default_of_the_table_is_the_default(readme: str, tmp_path: Path) -> None:
    plain = agent.load({}, str(tmp_path))
    served = collector.load({}, tmp_path)
    for name, (default, who) in table(readme).items():
        if not default:
            continue
        if who in ("agent", "both"):
            given = agent.load({name: default}, str(tmp_path))
            assert given.origins != plain.origins, name
            assert _values(given) == _values(plain), name
        if who in ("collector", "both"):
            assert collector.load({name: default}, tmp_path) == served, name


def _values(settings: agent.Settings) -> dict[str, object]:
    return {name: getattr(settings, name) for name in settings.__slots__ if name != "origins"}


def test_every_command_and_option_that_the_readme_names_exists_and_every_command_is_named(readme: str) -> None:
    extensions = Extensions()
    added = [extensions.load(name) for name in extensions.summaries()]
    known = {command.name: command for command in (*OWN, *added) if command is not None}
    named = re.findall(r"(?:`|\$ |\s)mystic ([a-z]+(?:-[a-z]+)*)((?: --[a-z-]+)*)", readme)
    assert {name for name, _ in named} - {"config"} <= known.keys() | {"is"}
    for name, options in named:
        parser = argparse.ArgumentParser()
        known[name].configure(parser)
        listed = parser.format_help()
        assert all(option in listed or option in ("--help", "--format") for option in options.split()), (name, options)
    assert known.keys() - {name for name, _ in named} <= {"version"}


def test_every_strategy_is_named_in_the_readme(readme: str) -> None:
    assert {name for name in STRATEGIES if f"`{name}`" not in readme} == set()


def test_every_api_path_that_the_readme_names_is_described(readme: str) -> None:
    routes = {*describe()["paths"], "/openapi.json"}
    named = set(re.findall(r"`(?:(?:GET|POST|PUT|DELETE) )*(/(?:api|v1|health|openapi)[^`]*)`", readme))
    assert len(named) > 8
    assert named <= routes


def test_every_file_that_a_document_links_to_exists(root: Path) -> None:
    documents = [root / "README.md", root / "CONTRIBUTING.md", root / "CHANGELOG.md", *(root / "docs").rglob("*.md")]
    for document in documents:
        for link in re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8")):
            if not link.startswith("https://"):
                assert (document.parent / link).exists(), f"{document.name} links to {link}"
