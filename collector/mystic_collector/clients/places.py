"""Which chat clients there are, and where each keeps its configuration on which system.

Sources: https://modelcontextprotocol.io/docs/develop/connect-local-servers (Claude Desktop),
https://code.claude.com/docs/en/mcp (Claude Code), https://cursor.com/docs/mcp,
https://code.visualstudio.com/docs/agents/reference/mcp-configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mystic_agent.contract.errors import Invalid

USER, PROJECT = "user", "project"
SCOPES = (USER, PROJECT)
_DESKTOP_FILE = "claude_desktop_config.json"


@dataclass(frozen=True, slots=True)
class Client:
    """A chat client.

    Attributes:
        label: what people call it.
        section: the object of its file that holds the servers.
        typed: it wants to be told that a server is spoken to on stdio.
        commented: it takes comments in its file.
        project_file: in a project; empty when it knows no projects.
        afterwards: what makes it notice.
    """

    name: str
    label: str
    section: str
    typed: bool
    commented: bool
    project_file: str
    afterwards: str


@dataclass(frozen=True, slots=True)
class Machine:
    """What decides where files are.

    Attributes:
        platform: as ``sys.platform`` says it.
    """

    platform: str
    home: Path
    environ: Mapping[str, str]


CLIENTS: Mapping[str, Client] = {
    one.name: one
    for one in (
        Client("claude-desktop", "Claude Desktop", "mcpServers", False, False, "", "quit and start Claude Desktop"),
        Client("claude-code", "Claude Code", "mcpServers", True, False, ".mcp.json", "start a new session, see /mcp"),
        Client("cursor", "Cursor", "mcpServers", True, True, ".cursor/mcp.json", "switch it on under Settings, MCP"),
        Client("vscode", "VS Code", "servers", True, True, ".vscode/mcp.json", "run 'MCP: List Servers' to start it"),
    )
}


def place(client: Client, scope: str, root: Path, machine: Machine) -> Path:
    """Return the file in which ``client`` is told of servers, for the user or for the project in ``root``.

    Raises:
        Invalid: when the client knows no projects.
    """
    if scope == USER:
        return _places[client.name](machine)
    if not client.project_file:
        raise Invalid("--scope", scope, f"{client.label} has one configuration for all projects: give {USER}")
    return root / client.project_file


def found(machine: Machine) -> list[Client]:
    """Return the clients that this user seems to have: their folder or file is there."""
    return [one for one in CLIENTS.values() if _there(one, place(one, USER, machine.home, machine))]


def _there(client: Client, file: Path) -> bool:
    # Claude Code's file lies in the home folder, which everybody has.
    return file.exists() if client.name == "claude-code" else file.parent.is_dir()


def _desktop(machine: Machine) -> Path:
    if machine.platform == "darwin":
        return machine.home / "Library" / "Application Support" / "Claude" / _DESKTOP_FILE
    if machine.platform != "win32":
        return _config(machine) / "Claude" / _DESKTOP_FILE
    # Installed from the store, it sees a folder of its own where it asks for %APPDATA%.
    packages = _variable(machine, "LOCALAPPDATA", "AppData/Local") / "Packages"
    virtual = [one / "LocalCache" / "Roaming" / "Claude" for one in sorted(packages.glob("*Claude*"))]
    folder = next((one for one in virtual if one.is_dir()), _roaming(machine) / "Claude")
    return folder / _DESKTOP_FILE


def _code(machine: Machine) -> Path:
    return _variable(machine, "CLAUDE_CONFIG_DIR", ".") / ".claude.json"


def _cursor(machine: Machine) -> Path:
    return machine.home / ".cursor" / "mcp.json"


def _vscode(machine: Machine) -> Path:
    if machine.platform == "darwin":
        return machine.home / "Library" / "Application Support" / "Code" / "User" / "mcp.json"
    above = _roaming(machine) if machine.platform == "win32" else _config(machine)
    return above / "Code" / "User" / "mcp.json"


_places = {"claude-desktop": _desktop, "claude-code": _code, "cursor": _cursor, "vscode": _vscode}


def _config(machine: Machine) -> Path:
    return _variable(machine, "XDG_CONFIG_HOME", ".config")


def _roaming(machine: Machine) -> Path:
    return _variable(machine, "APPDATA", "AppData/Roaming")


def _variable(machine: Machine, name: str, default: str) -> Path:
    given = machine.environ.get(name, "").strip()
    return Path(given) if given else machine.home / default
