"""What the collector is told, and what it refuses to be told."""

from __future__ import annotations

from pathlib import Path

import pytest
from mystic_agent.contract.errors import Invalid
from mystic_collector.settings import load


def test_defaults_are_local_and_bounded(tmp_path: Path) -> None:
    found = load({}, tmp_path)
    assert (found.host, found.port, found.api_key) == ("127.0.0.1", 8899, "")
    assert found.project_root == tmp_path
    assert found.data_dir == tmp_path / ".mystic" / "data"
    assert (found.retention_seconds, found.retention_bytes) == (7 * 86400, 2**30)


def test_the_environment_decides_and_empty_means_unset(tmp_path: Path) -> None:
    env = {
        "MYSTIC_HOST": "0.0.0.0",
        "MYSTIC_PORT": "",
        "PROJECT_ROOT": str(tmp_path),
        "LOG_LEVEL": "DEBUG",
        "MYSTIC_RETENTION": "2d",
        "MYSTIC_RETENTION_BYTES": "64MiB",
        "MYSTIC_ALLOWED_HOSTS": "Mystic, web ,",
        "MYSTIC_DATA_DIR": str(tmp_path / "d"),
    }
    found = load(env)
    assert (found.host, found.port, found.log_level) == ("0.0.0.0", 8899, "debug")
    assert (found.retention_seconds, found.retention_bytes) == (172800, 64 * 2**20)
    assert found.allowed_hosts == ("mystic", "web")
    assert found.data_dir == tmp_path / "d"


def test_a_key_comes_from_its_file_and_is_never_shown(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("from-the-file\n")
    assert load({"MYSTIC_API_KEY_FILE": str(secret)}, tmp_path).api_key == "from-the-file"
    found = load({"MYSTIC_API_KEY": "direct", "MYSTIC_API_KEY_FILE": str(secret)}, tmp_path)
    assert found.api_key == "direct"
    assert "direct" not in repr(found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MYSTIC_PORT", "http"),
        ("MYSTIC_PORT", "70000"),
        ("PROJECT_ROOT", "/no/such/folder"),
        ("LOG_LEVEL", "loud"),
        ("MYSTIC_RETENTION", "a while"),
        ("MYSTIC_RETENTION_BYTES", "lots"),
        ("MYSTIC_MAX_BODY", "1"),
        ("MYSTIC_MAX_QUEUE", "-5"),
        ("MYSTIC_MAX_FUNCTIONS", "0"),
        ("MYSTIC_API_KEY_FILE", "/no/such/file"),
        ("MYSTIC_API_KEY_FILE", "/dev/null"),
    ],
)
def test_a_bad_value_is_refused_by_name_with_a_remedy(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(Invalid) as caught:
        load({name: value}, tmp_path)
    assert caught.value.field == name
    assert caught.value.shown == repr(value)
    assert caught.value.remedy


def test_a_key_that_cannot_be_sent_is_refused_without_being_shown(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        load({"MYSTIC_API_KEY": "schlüssel"}, tmp_path)
    assert "schl" not in str(caught.value)
