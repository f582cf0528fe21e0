"""The tour that the README promises runs to its end on the real thing."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_demo_observes_a_foreign_application_speeds_it_up_and_ends_by_itself():
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MYSTIC_", "PYTHONPATH", "PROJECT_ROOT"))}
    ended = subprocess.run(
        [sys.executable, ROOT / "deploy" / "demo" / "demo.py", "--rounds", "5"],
        capture_output=True,
        text=True,
        timeout=180,
        env=environment,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(r"\d{4,} calls counted", ended.stdout)
    assert "datasette.app:DatasetteRouter.__call__" in ended.stdout
    assert re.search(r"with the cache +\d", ended.stdout)
    assert re.search(r"decisions of the cache: hit [1-9]\d*, miss [1-9]", ended.stdout)
    assert "The cache is released again" in ended.stdout
    assert ended.stderr == ""
