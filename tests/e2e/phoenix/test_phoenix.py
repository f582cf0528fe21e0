"""Traces sent on to Arize Phoenix, read back through its own API and looked at on its page in a real browser.

Opt-in, because Phoenix is 855 MB: ``MYSTIC_TEST_PHOENIX`` names the Python that has ``arize-phoenix`` installed, and
``MYSTIC_TEST_PHOENIX_PICTURE`` a file that keeps what the browser has seen.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCENARIO = Path(__file__).with_name("scenario.py")
ALONE = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


@pytest.fixture
def seen(tmp_path: Path) -> dict[str, Any]:
    phoenix = os.environ.get("MYSTIC_TEST_PHOENIX", "")
    if not phoenix:
        pytest.skip("MYSTIC_TEST_PHOENIX names no Python with arize-phoenix")
    chromium = os.environ.get("MYSTIC_TEST_CHROMIUM") or shutil.which("chromium")
    if not chromium:
        pytest.skip("MYSTIC_TEST_CHROMIUM names no chromium, and none is on PATH")
    if subprocess.run([*ALONE, "true"], capture_output=True).returncode:
        pytest.skip("this user may not make a network of its own (unshare --net)")
    command = [*ALONE, sys.executable, str(SCENARIO), str(tmp_path), phoenix, chromium]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    if picture := os.environ.get("MYSTIC_TEST_PHOENIX_PICTURE"):
        shutil.copy(tmp_path / "phoenix.png", picture)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_phoenix_shows_the_same_spans_with_their_parents_errors_and_attributes(seen: dict[str, Any]) -> None:
    ours = {one["span_id"]: one for one in seen["ours"]}
    theirs = {one["context"]["span_id"]: one for one in seen["theirs"]}
    assert theirs.keys() == ours.keys()
    for identity, one in theirs.items():
        sent = ours[identity]
        assert one["context"]["trace_id"] == sent["trace_id"]
        assert (one["name"], one["parent_id"] or "") == (sent["name"], sent["parent_id"] or "")
        assert one["status_code"] == sent["status"].upper()
        assert one["status_message"] == sent["error"]
        assert one["attributes"] == sent["attributes"]
        told = [(event["name"], event["attributes"]) for event in one["events"]]
        assert told == [(event["name"], event["attributes"]) for event in sent["events"]]
    failed = [one["status_message"] for one in theirs.values() if one["status_code"] == "ERROR"]
    assert sorted(failed) == ["KeyError: glue", "KeyError: glue", "ValueError: 12 are too many"]

    trace, caller = seen["caused"]
    [own] = [one for one in theirs.values() if one["context"]["trace_id"] == trace]
    assert (own["name"], own["parent_id"]) == ("POST /api/hijacks", caller)

    for text in ("__main__.shop", "__main__.order", "__main__.price", "KeyError"):
        assert text in seen["page"]
    [forward] = seen["forward"]
    assert (forward["sent"], sum(forward["dropped"].values()), forward["trouble"]) == (len(ours), 0, "")
