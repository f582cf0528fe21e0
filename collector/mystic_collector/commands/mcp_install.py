"""``mystic mcp install``: tell chat clients on this machine of the chat."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mystic_agent.contract.errors import Invalid

from mystic_collector.clients.install import Outcome, Refused, install
from mystic_collector.clients.places import CLIENTS, Client, Machine, found, place
from mystic_collector.commands.connection import ANYWHERE, address_of
from mystic_collector.commands.ending import Failed, show
from mystic_collector.commands.mcp_arguments import PLAIN
from mystic_collector.discovery.config import FILE as CONFIG_FILE
from mystic_collector.discovery.config import read_config
from mystic_collector.scaffold.chat_config import CONTAINER_HOST, here, in_container
from mystic_collector.scaffold.plan import KEY_FILE, NETWORK, project_name
from mystic_collector.security import LOCAL
from mystic_collector.settings import read_key

_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")


def run(args: argparse.Namespace) -> int:
    """Write every client's file; nothing is written unless all can be."""
    root = _root(args)
    project = _project(args, root)
    name = _name(args, project)
    started = None if args.remove else _started(args, root, project)
    machine = Machine(sys.platform, Path.home(), os.environ)
    chosen = [(one, _file(args, one, root, machine)) for one in _clients(args, machine)]
    for client, file in chosen:
        _put(client, file, name, started, dry_run=True)
    outcomes = [(one, _put(one, file, name, started, dry_run=args.dry_run)) for one, file in chosen]
    told = [{"client": client.name, "name": name, **asdict(outcome)} for client, outcome in outcomes]
    show(args, {"dry_run": args.dry_run, "clients": told}, "\n".join(_said(args, name, *one) for one in outcomes))
    return 0


def _put(client: Client, file: Path, name: str, started: dict[str, Any] | None, *, dry_run: bool) -> Outcome:
    entry = {"type": "stdio", **started} if started is not None and client.typed else started
    try:
        return install(file, client.section, name, entry, commented=client.commented, dry_run=dry_run)
    except Refused as error:
        by_hand = "" if entry is None else f": under {client.section!r}, {json.dumps({name: entry})}"
        raise Failed(error.what, error.remedy + by_hand) from error


def _said(args: argparse.Namespace, name: str, client: Client, outcome: Outcome) -> str:
    if outcome.state in ("unchanged", "absent"):
        told = {"unchanged": "is there already", "absent": "is not there"}[outcome.state]
        return f"{client.label}: {name} {told}, {outcome.file}"
    verb = f"would be {outcome.state}" if args.dry_run else outcome.state
    lines = [f"{client.label}: {name} {verb}, {outcome.file}"]
    if outcome.backup:
        lines.append(f"  what was there is kept in {outcome.backup}")
    if args.dry_run and outcome.entry:
        lines += ["  " + line for line in json.dumps({name: outcome.entry}, indent=2).splitlines()]
    if outcome.entry and not args.dry_run:
        lines.append(f"  {client.afterwards}")
    return "\n".join(lines)


def _root(args: argparse.Namespace) -> Path:
    root = Path(_given(args) or Path.cwd()).absolute()
    if not root.is_dir():
        raise Failed(f"{str(root)!r} is not a folder", "name an existing one", 2)
    return root


def _given(args: argparse.Namespace) -> str:
    return str(args.project or os.environ.get("PROJECT_ROOT", "").strip())


def _project(args: argparse.Namespace, root: Path) -> str:
    """Return the project's name; empty when nobody has said that ``root`` is one."""
    if (root / CONFIG_FILE).is_file():
        return project_name(Path(str(read_config(root).get("project_name") or root.name)), "")
    return project_name(root, "") if _given(args) else ""


def _name(args: argparse.Namespace, project: str) -> str:
    name = str(args.name or (f"{project}-mystic"[-40:] if project else PLAIN))
    if not _NAME.fullmatch(name):
        raise Invalid("--name", name, "use at most 40 letters, digits, - and _")
    return name


def _clients(args: argparse.Namespace, machine: Machine) -> list[Client]:
    if args.client:
        chosen = [CLIENTS[name] for name in dict.fromkeys(args.client)]
        if args.file and len(chosen) > 1:
            raise Failed("--file is one client's", "name one --client", 2)
        return chosen
    here_now = [] if args.file else found(machine)
    if len(here_now) == 1:
        return here_now
    several = f"{', '.join(one.name for one in here_now)} are here" if here_now else "no client is seen here"
    raise Failed(several if not args.file else "--file is some client's", f"name it: --client {'|'.join(CLIENTS)}", 2)


def _file(args: argparse.Namespace, client: Client, root: Path, machine: Machine) -> Path:
    return Path(args.file).absolute() if args.file else place(client, args.scope, root, machine)


def _started(args: argparse.Namespace, root: Path, project: str) -> dict[str, Any]:
    """Return the entry: a program with absolute paths, and never the key itself."""
    host = args.host or os.environ.get("MYSTIC_HOST", "").strip()
    port = address_of(args).rpartition(":")[2]
    key = _key(args, root)
    if not args.docker:
        entry = here(root if project else None, key=key, host=ANYWHERE.get(host, host) or "127.0.0.1", port=port)
        entry["args"] += ["--read-only"] * args.read_only
        return entry
    if not project:
        raise Failed(
            f"{str(root)!r} is no project that can be mounted", "run 'mystic init' there, or name --project", 2
        )
    if host in (*LOCAL, *ANYWHERE):
        raise Failed(f"in a container {host!r} is the container itself", "give --host the collector's name there", 2)
    docker = shutil.which("docker")
    if docker is None:
        raise Failed("there is no program 'docker' on PATH", "install Docker, or leave out --docker")
    entry = in_container(
        root,
        args.network or f"{project}_{NETWORK}",
        args.image,
        key=key,
        host=host or CONTAINER_HOST,
        port=port,
        docker=str(Path(docker).absolute()),
    )
    entry["args"][-1:-1] = ["--env", "MYSTIC_CHAT_READ_ONLY=true"] * args.read_only
    return entry


def _key(args: argparse.Namespace, root: Path) -> Path | None:
    """Return the file that holds the key; None when there is none to be seen."""
    given = args.key_file or os.environ.get("MYSTIC_API_KEY_FILE", "").strip()
    if given:
        path = Path(given).absolute()
        read_key({"MYSTIC_API_KEY_FILE": str(path)})
        return path
    if (root / KEY_FILE).is_file():
        return root / KEY_FILE
    if os.environ.get("MYSTIC_API_KEY", "").strip():
        raise Failed(
            "MYSTIC_API_KEY does not go into a configuration as text", "put it into a file, and name that by --key-file"
        )
    return None
