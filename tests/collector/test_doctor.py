"""What is amiss between an application and its collector, found from both sides and named with its remedy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mystic_agent.contract import wire
from mystic_collector.destination import Destination

from .conftest import PATIENCE, Running, running, until
from .messages import span, traces
from .receivers import free_port

KEY = "a-key-of-some-length"


def examine(folder: Path, url: str, **environ: str) -> tuple[int, dict[str, dict[str, str]], str]:
    """Run 'mystic doctor' beside an application; return exit code, findings by subject and all it printed."""
    host, port = url.removeprefix("http://").split(":")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MYSTIC_", "OTEL_", "PROJECT"))}
    given = {"MYSTIC_HOST": host, "MYSTIC_PORT": port, "PROJECT_ROOT": str(folder), **environ}
    command = [sys.executable, "-m", "mystic_agent.cli", "doctor", "--format", "json"]
    done = subprocess.run(
        command, env={**kept, **given}, cwd=folder, capture_output=True, text=True, timeout=PATIENCE * 3
    )
    found = json.loads(done.stdout)["findings"]
    return done.returncode, {one["about"]: one for one in found}, done.stdout + done.stderr


def collectors(running: Running) -> dict[str, Any]:
    return {one["about"]: one for one in running.get("/api/doctor")["findings"]}


def test_the_doctor_goes_both_ways_speaks_mcp_and_tells_the_collectors_side(tmp_path: Path) -> None:
    with running(tmp_path, api_key=KEY) as collector:
        (tmp_path / "project" / "shop.py").write_text("def price():\n    return 1\n")
        secret = tmp_path / "key"
        secret.write_text(KEY)
        code, found, said = examine(tmp_path, collector.url, MYSTIC_API_KEY_FILE=str(secret), MYSTIC_ENABLED="true")
    assert code == 0, said
    assert "answers in" in found["to the collector"]["detail"]
    assert found["back from it"]["detail"] == "the stream opens and sends 'hijacks'"
    assert found["chat"]["detail"].endswith("answers by MCP with 20 tools")
    assert "MYSTIC_API_KEY_FILE" in found["environment"]["detail"]
    assert found["collector's project"]["detail"] == f"1 functions in {tmp_path / 'project'}"
    assert found["collector's key"]["verdict"] == "ok"
    assert "mystic run" in found["collector's agents"]["detail"]
    assert found["collector's sys.path"]["verdict"] == "ok"
    assert KEY not in said


def test_a_key_that_is_missing_fails_at_each_thing_that_needs_it(tmp_path: Path) -> None:
    with running(tmp_path, api_key=KEY) as collector:
        code, found, said = examine(tmp_path, collector.url)
    assert code == 1
    for about in ("back from it", "chat"):
        assert found[about]["verdict"] == "fail"
        assert "MYSTIC_API_KEY_FILE" in found[about]["detail"]
    assert found["to the collector"]["verdict"] == "ok"
    assert KEY not in said


def test_a_collector_called_by_a_name_it_does_not_go_by_says_which_setting_allows_it(tmp_path: Path) -> None:
    with running(tmp_path) as collector:
        code, found, _ = examine(tmp_path, collector.url.replace("127.0.0.1", "127.1"))
    assert code == 1
    assert "MYSTIC_ALLOWED_HOSTS" in found["to the collector"]["detail"]


def test_nobody_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    code, found, _ = examine(tmp_path, f"http://127.0.0.1:{free_port()}")
    assert code == 1
    assert "mystic serve" in found["to the collector"]["detail"]


def test_a_project_without_source_or_with_unreadable_files_is_named(tmp_path: Path) -> None:
    with running(tmp_path) as collector:
        empty = collectors(collector)["project"]
        assert (empty["verdict"], "PROJECT_ROOT" in empty["detail"]) == ("warn", True)
    (tmp_path / "project" / "torn.py").write_text("def (:\n")
    with running(tmp_path) as collector:
        torn = collectors(collector)["project"]
        assert torn["verdict"] == "warn"
        assert "torn.py" in torn["detail"]


def test_what_cannot_be_sent_on_and_what_is_switched_off_is_told(tmp_path: Path) -> None:
    to = (Destination(f"http://127.0.0.1:{free_port()}"),)
    with running(tmp_path, forward=to, off=True) as collector:
        collector.otlp(wire.TRACES_PATH, traces(span("app:f")))
        until(lambda: "cannot be reached" in collectors(collector)["sending on"]["detail"], "the trouble")
        assert collectors(collector)["sending on"]["verdict"] == "warn"
        assert collectors(collector)["switch"]["verdict"] == "note"


def test_an_open_port_without_a_key_is_a_warning(tmp_path: Path) -> None:
    with running(tmp_path, host="0.0.0.0") as collector:
        found = collector.client.get(f"http://127.0.0.1:{collector.server.address[1]}/api/doctor").json()["findings"]
    [key] = [one for one in found if one["about"] == "key"]
    assert (key["verdict"], "MYSTIC_API_KEY_FILE" in key["detail"]) == ("warn", True)


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_a_project_that_may_not_be_read_is_a_failure(tmp_path: Path) -> None:
    with running(tmp_path) as collector:
        (tmp_path / "project").chmod(0)
        try:
            assert collectors(collector)["project"]["verdict"] == "fail"
        finally:
            (tmp_path / "project").chmod(0o755)
