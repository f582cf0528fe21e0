"""``.mystic/config.json``: read for discovery, written once by ``init``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mystic_agent.contract.errors import Invalid

FILE = Path(".mystic") / "config.json"
IGNORED = ("*.pyc", "__pycache__", ".git", ".venv")


def read_config(root: Path) -> dict[str, Any]:
    """Return the project's configuration; empty when there is none.

    Raises:
        Invalid: when the file is not a JSON object, or ``ignore_patterns`` is not a list of texts.
    """
    path = root / FILE
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Invalid(str(FILE), str(path), f"make it readable JSON ({error})") from error
    if not isinstance(value, dict):
        raise Invalid(str(FILE), type(value).__name__, "make it a JSON object")
    patterns = value.get("ignore_patterns", [])
    if not isinstance(patterns, list) or not all(isinstance(one, str) for one in patterns):
        raise Invalid("ignore_patterns", patterns, f"give a list of patterns in {FILE}")
    return value


def ignore_patterns(root: Path) -> tuple[str, ...]:
    """Return what discovery leaves out."""
    return tuple(read_config(root).get("ignore_patterns", IGNORED))


def config(root: Path, name: str = "") -> dict[str, Any]:
    """Return a configuration to begin with; its folder is where it lies, so that it also holds inside a container."""
    return {
        "project_name": name or root.resolve().name,
        "project_root": ".",
        "ignore_patterns": list(IGNORED),
        "auto_discover": True,
        "mcp_enabled": True,
    }


def write_config(root: Path, name: str = "") -> tuple[Path, bool]:
    """Write the configuration unless there is one; return (path, whether it was written).

    Raises:
        OSError: when the folder cannot be written.
    """
    path = root / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(json.dumps(config(root, name), indent=2) + "\n")
    except FileExistsError:
        return path, False
    return path, True
