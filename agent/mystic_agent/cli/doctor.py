"""``mystic doctor``: why the agent is, or is not, at work here."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import mystic_bootstrap

from mystic_agent import __version__
from mystic_agent.cli import collector, reach
from mystic_agent.cli.command import Command
from mystic_agent.cli.config import shown
from mystic_agent.cli.embedded import LOOPBACK
from mystic_agent.cli.failure import Failure
from mystic_agent.cli.output import coloured, plain, show
from mystic_agent.cli.smoke import Smoke
from mystic_agent.contract import wire
from mystic_agent.contract.finding import VERDICTS, Finding
from mystic_agent.settings import Settings, load

_HERE = (*LOOPBACK, "0.0.0.0", "::")  # noqa: S104 - what a collector listens on


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cmd", nargs=argparse.REMAINDER, metavar="-- CMD …", help="the application's command, if any")


def _run(args: argparse.Namespace) -> int:
    cmd = args.cmd[1:] if args.cmd[:1] == ["--"] else args.cmd
    settings = load()
    reached = reach.probe(reach.interpreter(cmd), os.environ)
    findings = [
        *_versions(),
        *(Finding("settings", "warn", warning) for warning in settings.warnings),
        _environment(),
        *_project(settings),
        *_ways(reached),
        *_path(reached),
        *_connection(settings),
    ]
    bad = any(finding.verdict == "fail" for finding in findings)
    data = {
        "ok": not bad,
        "findings": [finding.to_json() for finding in findings],
        "ways": [asdict(one) for one in reached],
        "settings": shown(settings),
        "sys_path": sys.path,
    }
    text = "\n".join(f"{coloured(f.verdict)}{' ' * (5 - len(f.verdict))}{f.about}: {plain(f.detail)}" for f in findings)
    show(data, text, args.format)
    return 1 if bad else 0


def _versions() -> Iterator[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    yield Finding("program", "ok", f"mystic {__version__} on Python {python} ({sys.executable})")
    if importlib.util.find_spec("wrapt") is None:
        yield Finding("wrapt", "fail", f"not found: run '{sys.executable} -m pip install wrapt'")
        return
    try:
        yield Finding("wrapt", "ok", importlib.metadata.version("wrapt"))
    except importlib.metadata.PackageNotFoundError:
        yield Finding("wrapt", "ok", "a copy without metadata")


def _environment() -> Finding:
    """Name what is set; values are in the settings, and some are secret."""
    ours = ("PROJECT_ROOT", "PYTHONPATH", "LOG_LEVEL")
    named = sorted(name for name, value in os.environ.items() if value and (name.startswith("MYSTIC_") or name in ours))
    return Finding("environment", "ok", f"it has {', '.join(named)}" if named else "nothing of ours is set in it")


def _project(settings: Settings) -> Iterator[Finding]:
    root = settings.project_root
    if not root:
        detail = "none here, so no function is observed by default: set PROJECT_ROOT to the application's folder"
        yield Finding("project root", "warn", detail)
        return
    origin = settings.origins["project_root"]
    if not os.access(root, os.R_OK | os.X_OK):
        yield Finding("project root", "fail", f"{root} ({origin}) cannot be read: give this user the right to")
        return
    yield Finding("project root", "ok", f"{root} ({origin})")
    place = os.path.abspath(os.environ.get("MYSTIC_DATA_DIR", "").strip() or os.path.join(root, ".mystic"))
    while not os.path.isdir(place):
        place = os.path.dirname(place)
    # Where the collector is elsewhere, so are its data.
    if settings.host in _HERE and not os.access(place, os.W_OK | os.X_OK):
        detail = f"{place} cannot be written: a collector started here needs MYSTIC_DATA_DIR set to a folder that can"
        yield Finding("project data", "warn", detail)


def _ways(reached: list[reach.Reach]) -> Iterator[Finding]:
    titles = {
        "PYTHONPATH": f"on by PYTHONPATH={mystic_bootstrap.FOLDER}",
        "environment": "on by MYSTIC_ENABLED=true",
        "command": "on by mystic run",
    }
    for one in reached:
        # Not switched on by the environment is a choice; the other two were asked for by trying them.
        verdict = "ok" if one.active else "note" if one.way == "environment" else "fail"
        yield Finding(titles[one.way], verdict, "yes" if one.active else f"no, {one.reason}")


def _path(reached: list[reach.Reach]) -> Iterator[Finding]:
    child = next((one.child for one in reached if one.way == "command" and one.child), None)
    if child is None:
        return
    version = ".".join(map(str, child["version"]))
    yield Finding("sys.path", "ok", f"Python {version} sees {os.pathsep.join(filter(None, child['path']))}")


def _connection(settings: Settings) -> Iterator[Finding]:
    where = f"{settings.host}:{settings.port}"
    begin = time.perf_counter()
    try:
        health = collector.get(settings, wire.HEALTH_PATH)
    except Failure as failure:
        yield Finding("to the collector", "fail", str(failure))
        return
    yield Finding("to the collector", "ok", f"{where} answers in {(time.perf_counter() - begin) * 1000:.1f} ms")
    yield from _same_release(health)
    try:
        event = collector.first_event(settings)
    except Failure as failure:
        yield Finding("back from it", "fail", str(failure))
    else:
        yield Finding("back from it", "ok", f"the stream opens and sends {event!r}")
    yield from _chat(settings)
    yield from _other_side(settings)


def _same_release(health: Any) -> Iterator[Finding]:
    version = health.get("version") if isinstance(health, dict) else None
    if version and version != __version__:
        detail = f"this side is {__version__}, the collector {version}: install the same release on both"
        yield Finding("releases", "warn", detail)


def _chat(settings: Settings) -> Iterator[Finding]:
    """Speak to the chat as a client does."""
    try:
        with Smoke(settings) as session:
            server, tools = session.greet(), session.tools()
    except Failure as failure:
        yield Finding("chat", "fail", str(failure))
        return
    if not tools:
        yield Finding("chat", "fail", f"{server} lists no tools; see the collector's log")
        return
    yield Finding("chat", "ok", f"{server} answers by MCP with {len(tools)} tools")


def _other_side(settings: Settings) -> Iterator[Finding]:
    """Tell what the collector finds amiss with itself."""
    try:
        told = collector.get(settings, "/api/doctor", 10.0)
    except Failure as failure:
        yield Finding("collector", "warn", str(failure))
        return
    listed = told.get("findings", []) if isinstance(told, dict) else []
    for one in listed if isinstance(listed, list) else []:
        verdict = one.get("verdict") if isinstance(one, dict) else None
        if verdict in VERDICTS:
            yield Finding(f"collector's {str(one.get('about'))[:40]}", verdict, str(one.get("detail"))[:2000])


command = Command(
    "doctor",
    "tell whether the agent works here, and why not",
    "mystic doctor -- python app.py",
    _configure,
    _run,
)
