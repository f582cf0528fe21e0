"""What ``mystic init`` writes into a project."""

from __future__ import annotations

import ast
import json
import os
import stat
from pathlib import Path

import pytest
import yaml

from .test_commands import mystic

WRITTEN = {
    "docker-compose.mystic.yml",
    "Dockerfile.mystic",
    "mystic_server.py",
    "app/mystic_integration.py",
    ".mystic/config.json",
    ".mystic/claude_desktop_config.json",
    ".mystic/secrets/api_key",
    ".mystic/.gitignore",
}
COMPOSE = """\
services:
  web:
    build: .
    environment: [PYTHONPATH=/srv, COLOUR=blue]
    depends_on: [db]
    networks: {inner: {aliases: [front]}}
  db: {image: "postgres:17", volumes: ["rows:/var/lib/postgresql"]}
networks: {inner: {}}
volumes: {rows: {}}
"""


def project(folder: Path, compose: str = "") -> Path:
    root = folder / "Shop & Co"
    root.mkdir()
    if compose:
        (root / "docker-compose.yml").write_text(compose)
    return root


def states(root: Path, *words: str) -> dict[str, str]:
    done = mystic("init", *words, "--format", "json", cwd=root)
    assert done.returncode == 0, done.stderr
    return {one["path"]: one["state"] for one in json.loads(done.stdout)["files"]}


def composed(root: Path) -> dict[str, dict[str, object]]:
    value = yaml.safe_load((root / "docker-compose.mystic.yml").read_text())
    assert isinstance(value, dict)
    return value


def test_a_project_gets_what_it_takes_to_run_beside_mystic_and_nothing_of_its_own_is_touched(tmp_path: Path) -> None:
    root = project(tmp_path, COMPOSE)
    written = states(root)
    assert set(written.values()) == {"written"}
    assert set(written) >= WRITTEN
    assert (root / "docker-compose.yml").read_text() == COMPOSE
    ast.parse((root / "mystic_server.py").read_text())
    assert json.loads((root / ".mystic/config.json").read_text()) == {
        "project_name": "shop-co",
        "project_root": ".",
        "ignore_patterns": ["*.pyc", "__pycache__", ".git", ".venv"],
        "auto_discover": True,
        "mcp_enabled": True,
    }


def test_the_application_keeps_all_of_its_own_and_gains_a_variable_a_volume_and_a_network(tmp_path: Path) -> None:
    root = project(tmp_path, COMPOSE)
    states(root)
    value = composed(root)
    web = value["services"]["web"]
    assert isinstance(web, dict)
    assert web["extends"] == {"file": "docker-compose.yml", "service": "web"}
    assert web["environment"]["PYTHONPATH"] == "/mystic/mystic_bootstrap:/srv"
    assert web["volumes"] == ["mystic-agent:/mystic:ro"]
    assert web["networks"] == ["inner", "mystic"]
    assert set(web["depends_on"]) == {"db", "mystic-agent"}
    assert "build" not in web
    assert "image" not in web
    assert value["services"]["db"] == {"extends": {"file": "docker-compose.yml", "service": "db"}}
    assert set(value["volumes"]) == {"rows", "mystic-agent", "mystic-data"}
    assert set(value["networks"]) == {"inner", "mystic", "mystic-engine"}
    assert value["services"]["mystic-docker"]["networks"] == ["mystic-engine"], (
        "an application never reaches the engine"
    )


def test_the_sidecar_is_bounded_confined_and_published_on_loopback_only(tmp_path: Path) -> None:
    root = project(tmp_path)
    states(root)
    ours = composed(root)["services"]["mystic"]
    assert isinstance(ours, dict)
    assert ours["deploy"]["resources"]["limits"] == {"cpus": "0.5", "memory": "512M"}
    assert (ours["read_only"], ours["cap_drop"]) == (True, ["ALL"])
    assert all(port.startswith("127.0.0.1:") for port in ours["ports"])
    assert not any("docker.sock" in volume for volume in ours["volumes"])


def test_the_key_is_new_for_every_project_kept_by_its_owner_and_in_no_other_file(tmp_path: Path) -> None:
    keys = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        root = project(tmp_path / name)
        states(root)
        path = root / ".mystic/secrets/api_key"
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        key = path.read_text().strip()
        keys.add(key)
        others = [one for one in root.rglob("*") if one.is_file() and one != path]
        assert not any(key in one.read_text() for one in others)
        assert "secrets/" in (root / ".mystic/.gitignore").read_text()
        assert states(root, "--force")[".mystic/secrets/api_key"] == "unchanged"
        assert path.read_text().strip() == key
    assert len(keys) == 2


def test_what_is_there_stays_and_its_difference_is_shown_unless_force_is_given(tmp_path: Path) -> None:
    root = project(tmp_path)
    states(root)
    path = root / "mystic_server.py"
    ours = path.read_text()
    path.write_text(ours + "# mine\n")
    done = mystic("init", cwd=root)
    assert done.returncode == 0
    assert "-# mine\n" in done.stdout
    assert path.read_text().endswith("# mine\n")
    assert states(root, "--force", "--dry-run")["mystic_server.py"] == "replaced"
    assert path.read_text().endswith("# mine\n")
    assert states(root, "--force")["mystic_server.py"] == "replaced"
    assert path.read_text() == ours
    assert sorted(os.listdir(root)) == sorted({one.split("/")[0] for one in states(root)})


def test_the_chat_is_configured_with_absolute_paths_in_a_container_and_without(tmp_path: Path) -> None:
    root = project(tmp_path)
    states(root)
    servers = json.loads((root / ".mystic/claude_desktop_config.json").read_text())["mcpServers"]
    contained, local = servers["shop-co-mystic"], servers["shop-co-mystic-local"]
    assert contained["command"] == "docker"
    assert contained["args"][:5] == ["run", "--rm", "-i", "--network", "shop-co_mystic"]
    assert f"{root}:/app:ro" in contained["args"]
    assert Path(local["command"]).is_absolute()
    assert Path(local["env"]["MYSTIC_API_KEY_FILE"]).is_file()


def test_only_the_configuration_is_written_when_that_is_asked_for(tmp_path: Path) -> None:
    root = project(tmp_path)
    assert all(path.startswith(".mystic/") for path in states(root, "--config-only"))
    assert sorted(os.listdir(root)) == [".mystic"]


@pytest.mark.parametrize(
    ("compose", "words", "told"),
    [
        ("services: [", (), "docker-compose.yml"),
        ("services: 3", (), "give each service as an object"),
        (
            "services: {a: {image: x}, b: {image: y}}",
            (),
            "say which service of docker-compose.yml is the application: a, b",
        ),
        ("services: {a: {image: x}}", ("--app", "c"), "name a service of docker-compose.yml: a"),
        ("services: {a: {image: x}}", ("--name", "../x"), "--name"),
    ],
)
def test_a_project_that_cannot_be_understood_is_left_alone_with_what_to_do(
    tmp_path: Path, compose: str, words: tuple[str, ...], told: str
) -> None:
    root = project(tmp_path, compose)
    done = mystic("init", *words, cwd=root)
    assert done.returncode == 2
    assert told in done.stderr
    assert os.listdir(root) == ["docker-compose.yml"]


def test_the_service_that_is_built_here_is_the_application_among_several(tmp_path: Path) -> None:
    root = project(tmp_path, "services: {db: {image: x}, api: {build: .}}")
    states(root)
    assert [name for name, one in composed(root)["services"].items() if "PYTHONPATH" in str(one)] == ["api"]
