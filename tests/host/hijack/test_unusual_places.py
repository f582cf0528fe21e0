"""Where programs live and run otherwise than from a folder of their own (H19), and a collector that swallows (H15)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import zipapp
from pathlib import Path

import mystic_bootstrap
import pytest


def test_functions_inside_a_zip_archive_are_counted_and_their_source_is_found(program, receiver):
    source = program.folder / "source"
    (source / "goods").mkdir(parents=True)
    (source / "goods" / "__init__.py").touch()
    (source / "goods" / "tea.py").write_text("def price(n):\n    return 2 * n\n")
    (source / "shop.py").write_text("from goods.tea import price\n\n\ndef sell(n):\n    return price(n)\n")
    (source / "__main__.py").write_text("import inspect, shop\nprint(shop.sell(3), inspect.getsource(shop.sell))\n")
    zipapp.create_archive(source, program.folder / "shop.pyz")
    shutil.rmtree(source)
    without = program.run(["shop.pyz"])
    assert without.code == 0
    assert program.run(["shop.pyz"], receiver.port) == without
    assert receiver.settle({"shop:sell": 1, "goods.tea:price": 1}) == {"shop:sell": 1, "goods.tea:price": 1}


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become somebody else")
def test_somebody_without_a_home_in_a_folder_that_cannot_be_written_is_served(program, receiver):
    script = program.write("script.py", "def work(n):\n    return n + 1\nprint(work(1))\n")
    program.folder.chmod(0o555)
    nobody = 65534
    environ = program.environ(receiver.port)
    environ.pop("HOME", None)

    def run(argv, env):
        return subprocess.run(
            argv, env=env, cwd=program.folder, capture_output=True, text=True, timeout=60, user=nobody
        )

    readable = (sys.executable, mystic_bootstrap.FOLDER, script)
    for path in readable:
        try:
            seen = run(["/usr/bin/test", "-r", str(path)], {}).returncode
        except PermissionError:
            seen = 1
        if seen:
            pytest.skip(f"nobody may not read {Path(path).anchor}…/{Path(path).name} on this machine")
    done = run([sys.executable, str(script)], environ)
    assert (done.returncode, done.stdout, done.stderr) == (0, "2\n", "")
    assert receiver.settle({"__main__:work": 1}) == {"__main__:work": 1}


def test_a_cell_that_is_run_again_goes_on_as_without_the_agent(program, receiver):
    cells = "def work(n):\n    return n + 1\n\nprint(work(1))\nimport shop\nprint(shop.price(1))\n\n" * 3
    program.write("shop.py", "def price(n):\n    return 2 * n\n")
    argv = ["-q", "-i", "-c", "import sys; sys.ps1 = sys.ps2 = ''"]
    without = program.run(argv, given=cells)
    assert without.out == "2\n2\n" * 3
    assert program.run(argv, receiver.port, given=cells) == without
    assert receiver.settle({"shop:price": 3}) == {"shop:price": 3}


SOAK = """
    import os, sys
    from time import monotonic

    def work(n):
        if n % 5 == 0:
            raise ValueError("x" * 1000)
        return n

    def many():
        for n in range(1000):
            try:
                work(n)
            except ValueError:
                pass

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def during(seconds):
        end = monotonic() + seconds
        while monotonic() < end:
            many()
        return resident()

    seconds = float(sys.argv[1])
    early = during(seconds / 3)
    late = during(seconds * 2 / 3)
    from mystic_agent import lifecycle
    agent = lifecycle.current()
    print(late - early < 24 * 2**20, agent.attachments.by_name["__main__:work"].meter.calls > 10_000)
"""


def test_a_collector_that_swallows_everything_costs_no_memory_beyond_a_bound_and_no_count(program):
    """MYSTIC_TEST_SOAK gives it other than 6 seconds."""
    script = program.write("script.py", SOAK)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as hole:
        variables = {"MYSTIC_TRACES_PER_SECOND": "all"}
        seconds = os.environ.get("MYSTIC_TEST_SOAK", "6")
        ended = program.run([script, seconds], hole.getsockname()[1], **variables)
    assert ended == (0, "True True\n", "")
