"""Where chat clients keep their configuration, on which system."""

from __future__ import annotations

from pathlib import Path

import pytest
from mystic_agent.contract.errors import Invalid
from mystic_collector.clients.places import CLIENTS, Machine, found, place

HOME = Path("/home/ada")


@pytest.mark.parametrize(
    ("client", "platform", "environ", "expected"),
    [
        ("claude-desktop", "linux", {}, ".config/Claude/claude_desktop_config.json"),
        ("claude-desktop", "darwin", {}, "Library/Application Support/Claude/claude_desktop_config.json"),
        ("claude-desktop", "win32", {}, "AppData/Roaming/Claude/claude_desktop_config.json"),
        ("claude-desktop", "win32", {"APPDATA": "/roams"}, "/roams/Claude/claude_desktop_config.json"),
        ("claude-desktop", "linux", {"XDG_CONFIG_HOME": "/x"}, "/x/Claude/claude_desktop_config.json"),
        ("claude-code", "linux", {}, ".claude.json"),
        ("claude-code", "win32", {"CLAUDE_CONFIG_DIR": "/c"}, "/c/.claude.json"),
        ("cursor", "darwin", {}, ".cursor/mcp.json"),
        ("vscode", "linux", {"XDG_CONFIG_HOME": " "}, ".config/Code/User/mcp.json"),
        ("vscode", "darwin", {}, "Library/Application Support/Code/User/mcp.json"),
        ("vscode", "win32", {}, "AppData/Roaming/Code/User/mcp.json"),
    ],
)
def test_every_client_has_its_own_place_on_every_system(
    client: str, platform: str, environ: dict[str, str], expected: str
) -> None:
    assert place(CLIENTS[client], "user", Path("/p"), Machine(platform, HOME, environ)) == HOME / expected


def test_claude_desktop_from_the_windows_store_has_a_folder_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "Packages" / "Claude_pzs8" / "LocalCache" / "Roaming" / "Claude"
    folder.mkdir(parents=True)
    machine = Machine("win32", HOME, {"LOCALAPPDATA": str(tmp_path)})
    assert place(CLIENTS["claude-desktop"], "user", Path("/p"), machine).parent == folder


@pytest.mark.parametrize(
    ("client", "file"), [("claude-code", ".mcp.json"), ("cursor", ".cursor/mcp.json"), ("vscode", ".vscode/mcp.json")]
)
def test_clients_that_know_projects_have_a_file_in_them(client: str, file: str) -> None:
    assert place(CLIENTS[client], "project", Path("/p"), Machine("linux", HOME, {})) == Path("/p") / file


def test_a_client_that_knows_no_projects_is_named() -> None:
    with pytest.raises(Invalid, match="Claude Desktop has one configuration"):
        place(CLIENTS["claude-desktop"], "project", Path("/p"), Machine("linux", HOME, {}))


def test_the_clients_that_are_here_are_those_whose_folder_or_file_is(tmp_path: Path) -> None:
    machine = Machine("linux", tmp_path, {})
    assert found(machine) == []
    (tmp_path / ".cursor").mkdir()
    (tmp_path / ".claude.json").write_text("{}")
    assert [one.name for one in found(machine)] == ["claude-code", "cursor"]
