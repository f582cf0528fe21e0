"""Processes that the application starts are reached too, each started once (H7)."""

from __future__ import annotations

import pytest


def pids(ended):
    return [int(line.split()[0]) for line in ended.starts]


def test_a_subprocess_of_a_subprocess_is_reached(host, bare, recording):
    inner = "import os; print(os.getpid())"
    code = (
        f"import os, subprocess, sys; print(os.getpid(), flush=True); subprocess.run([sys.executable, '-c', {inner!r}])"
    )
    ended = host.run([bare, "-c", code], PYTHONPATH=recording)
    assert pids(ended) == [int(line) for line in ended.out.split()]


def test_a_child_started_with_the_parents_sys_path_as_its_pythonpath_is_reached(host, bare, recording):
    code = (
        "import os, subprocess, sys; env = {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))};"
        "subprocess.run([sys.executable, '-c', ''], env=env)"
    )
    assert len(set(pids(host.run([bare, "-c", code], PYTHONPATH=recording)))) == 2


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_workers_of_multiprocessing_are_each_reached_once(host, bare, recording, script, method):
    app = script(
        "import multiprocessing, os\n"
        "def work(n):\n"
        "    from mystic_agent import lifecycle\n"
        "    return os.getpid(), lifecycle.active(), n * n\n"
        "if __name__ == '__main__':\n"
        f"    context = multiprocessing.get_context({method!r})\n"
        "    with context.Pool(2) as pool:\n"
        "        for pid, active, square in pool.map(work, range(4), chunksize=2):\n"
        "            print(pid, active, square)\n"
    )
    ended = host.run([bare, app], PYTHONPATH=recording)
    assert (ended.code, ended.err) == (0, "")
    rows = [line.split() for line in ended.out.splitlines()]
    assert [(row[1], row[2]) for row in rows] == [("True", "0"), ("True", "1"), ("True", "4"), ("True", "9")]
    assert len(pids(ended)) == len(set(pids(ended)))
    if method == "spawn":
        assert {int(row[0]) for row in rows} <= set(pids(ended))


def test_a_process_pool_executor_is_reached(host, bare, recording, script):
    app = script(
        "import os\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from multiprocessing import get_context\n"
        "if __name__ == '__main__':\n"
        "    with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:\n"
        "        print(pool.submit(os.getpid).result())\n"
    )
    ended = host.run([bare, app], PYTHONPATH=recording)
    assert int(ended.out) in pids(ended)
    assert len(pids(ended)) == len(set(pids(ended)))


def test_python_dash_m_is_reached_and_sees_its_own_name(host, bare, recording):
    (host.folder / "pack").mkdir()
    (host.folder / "pack" / "__main__.py").write_text("print(__name__, __package__)")
    ended = host.run([bare, "-m", "pack"], PYTHONPATH=recording)
    assert (ended.out, len(ended.starts)) == ("__main__ pack\n", 1)


def test_the_service_is_named_after_the_project(host, bare, recording):
    assert host.run([bare, "-c", ""], PYTHONPATH=recording).starts[0].split()[2] == "application"


def test_a_python_started_while_the_process_initialises_does_not_recurse(host, bare, recording, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import os, subprocess, sys\n"
        "if os.environ.get('ONCE') != 'done':\n"
        "    subprocess.run([sys.executable, '-c', 'print(1)'], env={**os.environ, 'ONCE': 'done'}, check=True)\n"
    )
    ended = host.run([bare, "-c", "print(2)"], PYTHONPATH=f"{recording}:{tmp_path}")
    assert (ended.out, ended.err, len(set(pids(ended))), len(ended.starts)) == ("1\n2\n", "", 2, 2)


def test_a_python_made_by_venv_inside_the_application_is_reached(host, bare, recording):
    code = (
        "import subprocess, venv; venv.create('inner', symlinks=True, with_pip=False);"
        "subprocess.run(['inner/bin/python', '-c', 'import sys; print(sys.prefix)'], check=True)"
    )
    ended = host.run([bare, "-c", code], PYTHONPATH=recording)
    assert (ended.out, ended.err) == (f"{host.folder / 'inner'}\n", "")
    assert len(set(pids(ended))) >= 2
