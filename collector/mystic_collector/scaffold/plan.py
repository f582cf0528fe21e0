"""Which files a project gets, with what in them; pure but for reading the project's Compose file."""

from __future__ import annotations

import json
import re
import secrets
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import yaml
from mystic_agent.contract.errors import Invalid

from mystic_collector.discovery.config import FILE as CONFIG_FILE
from mystic_collector.discovery.config import config
from mystic_collector.scaffold import compose
from mystic_collector.scaffold.chat_config import chat_config
from mystic_collector.version import VERSION

NETWORK = "mystic"
ENGINE_NETWORK = "mystic-engine"
COMPOSE_FILE = "docker-compose.mystic.yml"
KEY_FILE = ".mystic/secrets/api_key"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Planned:
    """One file of a project.

    Attributes:
        path: relative to the project.
        text: what is to be in it.
        mode: of the file; its folder is for the owner alone when the file is secret.
        secret: what is there is never replaced nor shown.
    """

    path: str
    text: str
    mode: int = 0o644
    secret: bool = False


def project_name(root: Path, given: str) -> str:
    """Return the name services, networks and chats know the project by: lower case, digits, ``-`` and ``_``.

    Raises:
        Invalid: when a given name cannot be one.
    """
    if given and not _NAME.fullmatch(given):
        raise Invalid("--name", given, "use lower-case letters, digits, - and _, beginning with a letter or digit")
    return given or re.sub(r"[^a-z0-9_-]+", "-", root.name.lower()).strip("-_") or "project"


def plan(
    root: Path, *, name: str = "", app: str = "", new_key: Callable[[], str] = secrets.token_urlsafe
) -> list[Planned]:
    """Return the files for the project in ``root``, an absolute path.

    Args:
        name: of the project; default: the folder's.
        app: the Compose service that gets the agent; default: the only one there is.

    Raises:
        Invalid: when the project's own Compose file cannot be read or leaves open which service is meant.
    """
    name = project_name(root, name)
    original = compose.read(root)
    chosen = compose.application(original, app)
    services = compose.services(original, chosen, name)
    carried: dict[str, Any] = {key: dict(value) for key, value in original.carried.items()}
    for key, ours in (
        ("volumes", {"mystic-agent": {}, "mystic-data": {}}),
        ("networks", {NETWORK: {"name": f"{name}_{NETWORK}"}, ENGINE_NETWORK: {"internal": True}}),
        ("secrets", {"mystic_api_key": {"file": f"./{KEY_FILE}"}}),
    ):
        carried[key] = {**carried.get(key, {}), **ours}
    words = {
        "name": name,
        "version": VERSION,
        "services": textwrap.indent(_yaml(services), "  ").rstrip(),
        "carried": _yaml(carried).rstrip(),
    }
    chat = chat_config(root, name, f"{name}_{NETWORK}", f"gnosis-mystic:{VERSION}", root / KEY_FILE)
    return [
        Planned(COMPOSE_FILE, _filled(COMPOSE_FILE, words)),
        Planned("Dockerfile.mystic", _filled("Dockerfile.mystic", words)),
        Planned("mystic_server.py", _filled("mystic_server.py", words)),
        Planned(_integration(root), _filled("mystic_integration.py", words)),
        Planned(str(CONFIG_FILE), json.dumps(config(root, name), indent=2) + "\n"),
        Planned(".mystic/claude_desktop_config.json", json.dumps(chat, indent=2) + "\n"),
        # In a folder of the owner's; within it readable, because a container's user is another one.
        Planned(KEY_FILE, new_key() + "\n", 0o444, secret=True),
        Planned(".mystic/.gitignore", "secrets/\ndata/\n"),
    ]


def _integration(root: Path) -> str:
    """Return where the application's code finds the module: in its package ``app``, unless another module is that."""
    other = (root / "app.py").is_file() and not (root / "app").is_dir()
    return "mystic_integration.py" if other else "app/mystic_integration.py"


def _filled(file: str, words: dict[str, str]) -> str:
    text = (files("mystic_collector.scaffold") / "files" / file).read_text(encoding="utf-8")
    return Template(text).substitute(words)


def _yaml(value: object) -> str:
    return str(yaml.safe_dump(value, sort_keys=False, default_flow_style=False, width=110, allow_unicode=True))
