"""Would the agent start in a Python that the user starts? Asked of a real child, for each of the three ways."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mystic_bootstrap

from mystic_agent.cli.failure import Failure
from mystic_agent.cli.run import child_environment

# Runs on any Python 3: what the child sees, and what became of the agent in it.
_PROBE = """
import importlib.util, json, os, sys
b = sys.modules.get("mystic_bootstrap")
pth = [p for p in sys.path if os.path.isfile(os.path.join(p, "gnosis_mystic.pth"))]
print("mystic-probe " + json.dumps({
    "version": list(sys.version_info[:3]), "executable": sys.executable, "path": sys.path, "pth": pth,
    "isolated": sys.flags.isolated, "ignore_environment": sys.flags.ignore_environment,
    "no_site": sys.flags.no_site, "sitecustomize": getattr(sys.modules.get("sitecustomize"), "__file__", None),
    "wrapt": importlib.util.find_spec("wrapt") is not None,
    "active": bool(b and b.state.active), "way": b.state.way if b else "", "reason": b.state.reason if b else ""}))
"""
_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")


@dataclass(frozen=True, slots=True)
class Reach:
    """One way to switch on, as a child found it.

    Attributes:
        way: ``PYTHONPATH``, ``environment`` or ``command``.
        active: True when the agent started.
        reason: why it did not, with the remedy; empty when it did.
        child: what the child said of itself: version, flags, ``sys.path``.
    """

    way: str
    active: bool
    reason: str
    child: Mapping[str, Any]


def interpreter(cmd: Sequence[str]) -> list[str]:
    """Return the interpreter and its flags that ``cmd`` would run under; this Python when ``cmd`` is empty.

    Raises:
        Failure: when ``cmd`` is not Python, or does not exist.
    """
    if not cmd:
        return [sys.executable]
    program = shutil.which(cmd[0])
    if program is None:
        raise Failure(f"command {cmd[0]!r} was not found", "check its spelling, or give its path")
    with open(program, "rb") as file:
        first = file.readline(1000)
    words, rest = [program], list(cmd[1:])
    if first.startswith(b"#!"):
        words, rest = first[2:].decode("utf-8", "replace").split(), []
        if os.path.basename(words[0]) == "env":
            words = [word for word in words[1:] if word != "-S"]
    name = os.path.basename(words[0])
    if not name.startswith(("python", "pypy")):
        raise Failure(f"{cmd[0]!r} is run by {name!r}, not by Python", "name the Python that runs the application")
    return [words[0], *_flags([*words[1:], *rest])]


def _flags(words: Sequence[str]) -> list[str]:
    """Return the interpreter's own flags at the start of ``words``, up to -c, -m or the script."""
    flags: list[str] = []
    i = 0
    while (
        i < len(words) and words[i].startswith("-") and words[i] not in ("-", "--") and words[i][:2] not in ("-c", "-m")
    ):
        taken = 2 if words[i] in _WITH_VALUE else 1
        flags += words[i : i + taken]
        i += taken
    return flags


def probe(python: Sequence[str], environ: Mapping[str, str]) -> list[Reach]:
    """Start ``python`` once for each way and return what happened in it."""
    bootstrap = mystic_bootstrap.FOLDER
    entries = [one for one in environ.get("PYTHONPATH", "").split(os.pathsep) if one]
    others = [one for one in entries if os.path.abspath(one) != bootstrap]
    plain = {**environ, "PYTHONPATH": os.pathsep.join(others)}
    # Someone who sets the path by hand keeps an order of his own; a child without it gets it in front.
    by_path = (
        dict(environ)
        if len(others) < len(entries)
        else {**environ, "PYTHONPATH": os.pathsep.join([bootstrap, *others])}
    )
    ways = {"PYTHONPATH": by_path, "environment": plain, "command": child_environment(environ, {})}
    running = {way: _start(python, env) for way, env in ways.items()}
    return [_judge(way, ways[way], process) for way, process in running.items()]


def _start(python: Sequence[str], environ: Mapping[str, str]) -> subprocess.Popen[str]:
    # The discard port: the child shall start its agent, and not appear as a process of the service.
    env = {**environ, "MYSTIC_HOST": "127.0.0.1", "MYSTIC_PORT": "9"}
    try:
        return subprocess.Popen(  # noqa: S603 - the interpreter the user named
            [*python, "-c", _PROBE],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise Failure(f"{python[0]!r} cannot be started ({error.strerror})", "name another Python") from None


def _judge(way: str, environ: Mapping[str, str], process: subprocess.Popen[str]) -> Reach:
    try:
        said, errors = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return Reach(way, False, "the child did not end within 20 s: look at its sitecustomize", {})
    line = next((one for one in said.splitlines() if one.startswith("mystic-probe ")), "")
    if not line:
        last = errors.strip().splitlines()[-1:] or [f"exit code {process.returncode}"]
        return Reach(way, False, f"the child failed: {last[0][:300]}", {})
    child = json.loads(line.removeprefix("mystic-probe "))
    reason = "" if child["active"] else _reason(way, environ, child)
    if not reason and not child["wrapt"]:
        reason = f"wrapt was not found: run '{child['executable']} -m pip install wrapt'"
    return Reach(way, not reason, reason, child)


def _reason(way: str, environ: Mapping[str, str], child: Mapping[str, Any]) -> str:
    """Return why the agent is not active in ``child``, first cause first."""
    value = environ.get("MYSTIC_ENABLED", "").strip()
    by_path = way != "environment"
    if child["reason"]:
        return str(child["reason"])
    if child["no_site"]:
        return "-S keeps Python from running site, which starts the agent: leave -S out"
    if by_path and value.lower() in ("0", "false", "no", "off"):
        return f"MYSTIC_ENABLED is {value!r}: set it to true or unset it"
    if by_path and (child["isolated"] or child["ignore_environment"]):
        flag = "-I" if child["isolated"] else "-E"
        return f"{flag} makes Python ignore PYTHONPATH: leave it out, or install gnosis-mystic and set MYSTIC_ENABLED"
    if by_path:
        ran = child["sitecustomize"] or "another sitecustomize"
        return f"{ran} was found first and hides ours: put {mystic_bootstrap.FOLDER} first on PYTHONPATH"
    if not child["pth"]:
        return (
            f"gnosis_mystic.pth is not in its site-packages: run '{child['executable']} -m pip install gnosis-mystic'"
        )
    return f"MYSTIC_ENABLED is {value!r}: set it to true" if value else "MYSTIC_ENABLED is not set: set it to true"
