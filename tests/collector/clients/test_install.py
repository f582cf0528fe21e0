"""``mystic mcp install``: what becomes of clients' configuration files, and whether what is in them starts the chat."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mystic_collector.clients.install import Refused, install

from tests.collector.chat.conftest import report
from tests.collector.chat.talk import text_of
from tests.collector.conftest import PATIENCE, running

MYSTIC = Path(sys.executable).with_name("mystic")
KEY = "open-sesame"
FILES = {
    "claude-desktop": ("mcpServers", ".config/Claude/claude_desktop_config.json"),
    "claude-code": ("mcpServers", ".claude.json"),
    "cursor": ("mcpServers", ".cursor/mcp.json"),
    "vscode": ("servers", ".config/Code/User/mcp.json"),
}


def environment(home: Path, **more: str) -> dict[str, str]:
    ours = ("MYSTIC_", "PROJECT_ROOT", "XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "HOME": str(home), **more}


def put(home: Path, *words: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """Run ``mystic mcp install`` as a person whose home folder is ``home``."""
    command = [str(MYSTIC), "mcp", "install", *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=3 * PATIENCE, cwd=cwd or home, env=environment(home, **env)
    )


def file_of(home: Path, client: str, text: str | None = None) -> Path:
    path = home / FILES[client][1]
    path.parent.mkdir(parents=True, exist_ok=True)
    if text is not None:
        path.write_bytes(text.encode())
    return path


def entry_in(path: Path, client: str, name: str = "gnosis-mystic") -> dict[str, Any]:
    found = json.loads(path.read_text())[FILES[client][0]][name]
    assert isinstance(found, dict)
    return found


def beside(path: Path) -> list[Path]:
    return sorted(one for one in path.parent.iterdir() if one != path and one.is_file())


def others(client: str) -> str:
    """Return a file with settings of its owner's."""
    servers = {"time": {"command": "uvx", "args": ["mcp-server-time"], "env": {"TOKEN": "sæcret"}}}
    return json.dumps({"zoom": 1.5, FILES[client][0]: servers, "seen": [1, None]}, indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("client", FILES)
def test_every_client_gets_an_entry_of_its_own_shape_and_keeps_everything_else(tmp_path: Path, client: str) -> None:
    before = others(client)
    path = file_of(tmp_path, client, before)
    path.chmod(0o640)
    done = put(tmp_path, "--client", client)
    assert (done.returncode, done.stderr) == (0, "")
    entry = entry_in(path, client)
    assert Path(entry["command"]).is_absolute()
    assert (entry.get("type") == "stdio") is (client != "claude-desktop")
    now = json.loads(path.read_text())
    assert list(now) == ["zoom", FILES[client][0], "seen"]
    assert list(now[FILES[client][0]]) == ["time", "gnosis-mystic"]
    [backup] = beside(path)
    assert str(backup) in done.stdout
    assert (backup.read_text(), stat.S_IMODE(backup.stat().st_mode)) == (before, 0o640)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert "sæcret" not in done.stdout

    written = path.read_bytes()
    again = put(tmp_path, "--client", client)
    assert "is there already" in again.stdout
    assert (path.read_bytes(), beside(path)) == (written, [backup])
    assert put(tmp_path, "--client", client, "--remove").returncode == 0
    assert path.read_text() == before
    assert "is not there" in put(tmp_path, "--client", client, "--remove").stdout


@pytest.mark.parametrize("client", ["claude-desktop", "vscode"])
def test_what_was_written_starts_the_chat_from_any_folder_with_the_key_by_file(tmp_path: Path, client: str) -> None:
    home, hostile = tmp_path / "home", tmp_path / "hostile"
    home.mkdir()
    hostile.mkdir()
    for name in ("mcp", "json", "mystic_collector"):
        (hostile / f"{name}.py").write_text("raise SystemExit('the wrong module')\n")
    (home / "key").write_text(KEY + "\n")
    with running(tmp_path, api_key=KEY) as collector:
        collector.client.headers["authorization"] = f"Bearer {KEY}"
        report(collector, tmp_path)
        port = collector.url.rpartition(":")[2]
        done = put(home, "--client", client, "--port", port, MYSTIC_API_KEY_FILE="key")
        assert done.returncode == 0, done.stderr
        path = file_of(home, client)
        assert KEY not in path.read_text()
        entry = entry_in(path, client)

        async def conversation() -> str:
            server = StdioServerParameters(
                command=entry["command"], args=entry["args"], env=entry["env"], cwd=str(hostile)
            )
            async with Client(stdio_client(server)) as connected:
                return text_of(await connected.call_tool("discover_functions", {}))

        assert "shop:price" in asyncio.run(conversation())


def test_a_dry_run_says_what_would_be_and_writes_nothing(tmp_path: Path) -> None:
    path = file_of(tmp_path, "cursor", others("cursor"))
    done = put(tmp_path, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "Cursor: gnosis-mystic would be added" in done.stdout
    assert '"MYSTIC_PORT": "8899"' in done.stdout
    assert "TOKEN" not in done.stdout
    assert (path.read_text(), beside(path)) == (others("cursor"), [])


def test_a_client_that_was_never_configured_gets_a_file_for_its_owner_alone(tmp_path: Path) -> None:
    assert put(tmp_path, "--client", "vscode").returncode == 0
    path = file_of(tmp_path, "vscode")
    assert list(json.loads(path.read_text())) == ["servers"]
    assert (stat.S_IMODE(path.stat().st_mode), beside(path)) == (0o600, [])


def test_the_project_can_carry_the_entry_for_everybody_who_works_on_it(tmp_path: Path) -> None:
    root = tmp_path / "Shop & Co"
    root.mkdir()
    done = put(
        tmp_path, "--client", "claude-code", "--scope", "project", "--read-only", cwd=root, PROJECT_ROOT=str(root)
    )
    assert done.returncode == 0, done.stderr
    entry = json.loads((root / ".mcp.json").read_text())["mcpServers"]["shop-co-mystic"]
    assert entry["args"][-1] == "--read-only"
    assert entry["env"]["PROJECT_ROOT"] == str(root)


def test_in_a_container_it_starts_as_the_files_of_init_say(tmp_path: Path) -> None:
    root = tmp_path / "Shop & Co"
    root.mkdir()
    subprocess.run([str(MYSTIC), "init"], cwd=root, env=environment(tmp_path), check=True, capture_output=True)
    (tmp_path / "docker").write_text("#!/bin/sh\n")
    (tmp_path / "docker").chmod(0o755)
    programs = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = put(tmp_path, "--client", "claude-desktop", "--docker", cwd=root, PATH=programs)
    assert done.returncode == 0, done.stderr
    of_init = json.loads((root / ".mystic/claude_desktop_config.json").read_text())["mcpServers"]
    written = entry_in(file_of(tmp_path, "claude-desktop"), "claude-desktop", "shop-co-mystic")
    assert written == {**of_init["shop-co-mystic"], "command": str(tmp_path / "docker")}
    local = put(tmp_path, "--client", "cursor", cwd=root)
    assert local.returncode == 0, local.stderr
    written = entry_in(file_of(tmp_path, "cursor"), "cursor", "shop-co-mystic")
    assert written == {"type": "stdio", **of_init["shop-co-mystic-local"]}


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ('{"servers": /* {} }', "line 1", "no JSON"),
        (
            '{"servers": {"gnosis-mystic": {"env": {} /* mine */, "args": [ // why\n]}}}',
            "mcp.json",
            "a comment in the entry itself would be lost",
        ),
        ('{"servers": {\n', "line 2", "no JSON"),
        ("[1]", "line 1", "it is a JSON list"),
        ('{\n\n  "servers": []}', "line 3", "'servers' is not an object"),
        ('{"servers":\n{"gnosis-mystic": 1}}', "line 2", "'gnosis-mystic' is not an object"),
        ('{"servers": {}, "servers": {}}', "mcp.json", "'servers' occurs twice"),
        ('{"zoom": NaN}', "mcp.json", "NaN is no JSON"),
        ("[" * 100_000, "mcp.json", "nested too deeply"),
    ],
)
def test_a_file_that_would_not_come_back_as_it_was_is_left_alone_with_where_and_what_to_do(
    tmp_path: Path, text: str, where: str, what: str
) -> None:
    path = file_of(tmp_path, "vscode", text)
    done = put(tmp_path, "--client", "vscode")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"mystic: {path}" in done.stderr
    assert where in done.stderr
    assert what in done.stderr
    assert '"MYSTIC_PORT": "8899"' in done.stderr  # to be added by hand
    assert (path.read_text(), beside(path)) == (text, [])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{\n  // mine\n  "mcpServers": {}\n}\n', "line 2: a comment, which would be lost"),
        ('{"mcpServers": {} /* mine */}', "line 1: a comment, which would be lost"),
        ('{\n  "mcpServers": {},\n}\n', "line 3: no JSON"),
    ],
)
def test_a_comment_in_a_file_whose_client_takes_none_is_refused_with_its_line(
    tmp_path: Path, text: str, line: str
) -> None:
    path = file_of(tmp_path, "claude-desktop", text)
    done = put(tmp_path, "--client", "claude-desktop")
    assert (done.returncode, line in done.stderr) == (1, True), done.stderr
    assert (path.read_text(), beside(path)) == (text, [])


def test_a_file_that_is_no_text_is_left_alone(tmp_path: Path) -> None:
    path = file_of(tmp_path, "cursor")
    path.write_bytes(b'{"a": "\xff"}')
    assert "is not UTF-8 (byte 7)" in put(tmp_path).stderr
    assert beside(path) == []


def test_one_file_that_is_left_alone_keeps_the_others_as_they_are(tmp_path: Path) -> None:
    path, broken = file_of(tmp_path, "cursor", "{}"), file_of(tmp_path, "vscode", "{")
    assert put(tmp_path, "--client", "cursor", "--client", "vscode").returncode == 1
    assert (path.read_text(), broken.read_text(), beside(path)) == ("{}", "{", [])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{\r\n\t"a": 1\r\n}\r\n', '{\r\n\t"a": 1,\r\n\t"mcpServers": {\r\n\t\t"m": {}\r\n\t}\r\n}\r\n'),
        (
            '\ufeff{\n    "a": "\\ud800"\n}',
            '\ufeff{\n    "a": "\\ud800",\n    "mcpServers": {\n        "m": {}\n    }\n}',
        ),
        ('{"a": 1}', '{"a": 1, "mcpServers": {"m": {}}}'),
        (" \n", '{\n  "mcpServers": {\n    "m": {}\n  }\n}\n'),
    ],
)
def test_line_ends_indentation_and_byte_order_marks_stay(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "client.json"
    path.write_bytes(before.encode())
    install(path, "mcpServers", "m", {})
    assert path.read_bytes().decode() == after


def test_what_a_link_points_to_is_changed_and_the_link_stays(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "mcp.json"
    real.parent.mkdir()
    real.write_text("{}")
    link = tmp_path / "mcp.json"
    link.symlink_to(real)
    assert install(link, "mcpServers", "m", {"command": "x"}).state == "added"
    assert link.is_symlink()
    assert "command" in real.read_text()


def test_what_a_person_has_set_in_the_entry_stays_and_how_it_starts_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    there = {"url": "http://old/mcp", "disabled": True, "env": {"MYSTIC_API_KEY": "text"}}
    path.write_text(json.dumps({"mcpServers": {"m": there}}))
    assert install(path, "mcpServers", "m", {"command": "x", "args": []}).state == "replaced"
    assert json.loads(path.read_text())["mcpServers"]["m"] == {"disabled": True, "command": "x", "args": []}


def test_a_client_that_writes_at_the_same_moment_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("{}")

    def meanwhile() -> float:
        path.write_text('{"theirs": 1}')
        return 0.0

    with pytest.raises(Refused, match="another program"):
        install(path, "mcpServers", "m", {"command": "x"}, clock=meanwhile)
    assert path.read_text() == '{"theirs": 1}'
    assert beside(path) == []


def test_backups_of_one_second_stand_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("{}")
    for port in ("1", "2"):
        install(path, "mcpServers", "m", {"args": [port]}, clock=lambda: 0.0)
    assert len(beside(path)) == 2


@pytest.mark.parametrize(
    ("words", "env", "code", "told"),
    [
        ((), {}, 2, "no client is seen here; name it: --client claude-desktop|claude-code|cursor|vscode"),
        (("--client", "cursor"), {"MYSTIC_API_KEY": KEY}, 1, "put it into a file, and name that by --key-file"),
        (("--client", "cursor", "--key-file", "gone"), {}, 2, "MYSTIC_API_KEY_FILE"),
        (("--client", "cursor", "--name", "a b"), {}, 2, "use at most 40 letters"),
        (("--client", "cursor", "--port", "none"), {}, 2, "whole number"),
        (("--client", "cursor", "--project", "gone"), {}, 2, "is not a folder"),
        (("--client", "cursor", "--docker"), {}, 2, "is no project that can be mounted"),
        (("--client", "cursor", "--docker", "--host", "localhost", "--project", "."), {}, 2, "collector's name there"),
        (("--client", "claude-desktop", "--scope", "project"), {}, 2, "one configuration for all projects"),
        (("--client", "cursor", "--client", "vscode", "--file", "x"), {}, 2, "name one --client"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(
    tmp_path: Path, words: tuple[str, ...], env: dict[str, str], code: int, told: str
) -> None:
    done = put(tmp_path, *words, **env)
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr
    assert KEY not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_several_clients_are_named_so_that_one_is_chosen(tmp_path: Path) -> None:
    file_of(tmp_path, "cursor", "{}")
    file_of(tmp_path, "vscode", "{}")
    assert "cursor, vscode are here; name it" in put(tmp_path).stderr


def test_what_was_said_before_the_word_holds_after_it(tmp_path: Path) -> None:
    command = [str(MYSTIC), "mcp", "--port", "9000", "--read-only", "install", "--client", "cursor"]
    subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), check=True, capture_output=True)
    entry = entry_in(file_of(tmp_path, "cursor"), "cursor")
    assert (entry["env"]["MYSTIC_PORT"], entry["args"][-1]) == ("9000", "--read-only")


def test_without_docker_the_container_form_is_refused(tmp_path: Path) -> None:
    done = put(tmp_path, "--client", "cursor", "--docker", "--project", ".", PATH=str(tmp_path))
    assert "no program 'docker'" in done.stderr
