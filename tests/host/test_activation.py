"""The three ways to switch on, and what each leaves untouched (H2)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

SEEN = "import sys; print(sorted(sys.modules), sys.meta_path, sys.path_hooks, __import__('threading').active_count())"


def ways(ended):
    return [line.split()[1] for line in ended.starts]


def test_a_copied_tree_on_pythonpath_starts_the_agent_once(host, bare, recording):
    ended = host.run([bare, "-c", "print('ran')"], PYTHONPATH=recording)
    assert (ended.code, ended.out, ended.err, ways(ended)) == (0, "ran\n", "", ["PYTHONPATH"])


def test_a_source_checkout_on_pythonpath_starts_the_agent_of_its_neighbour_folder(host, bare, recording, tmp_path):
    shutil.copytree(recording, tmp_path / "checkout" / "sitecustomize" / "mystic_bootstrap")
    for name in ("mystic_agent", "wrapt"):
        shutil.copytree(recording.parent / name, tmp_path / "checkout" / "agent" / name)
    ended = host.run([bare, "-c", ""], PYTHONPATH=tmp_path / "checkout" / "sitecustomize" / "mystic_bootstrap")
    assert (ended.err, ways(ended)) == ("", ["PYTHONPATH"])


def test_wrapt_is_found_in_the_environment_that_a_checkout_made_for_itself(host, bare, recording, tmp_path):
    shutil.copytree(recording, tmp_path / "checkout" / "sitecustomize" / "mystic_bootstrap")
    shutil.copytree(recording.parent / "mystic_agent", tmp_path / "checkout" / "agent" / "mystic_agent")
    packages = tmp_path / "checkout" / ".venv" / "lib" / "python3.11" / "site-packages"
    shutil.copytree(recording.parent / "wrapt", packages / "wrapt")
    boot = tmp_path / "checkout" / "sitecustomize" / "mystic_bootstrap"
    ended = host.run([bare, "-c", "import wrapt; print(wrapt.__file__)"], PYTHONPATH=boot)
    assert (ended.out, ways(ended)) == (f"{packages / 'wrapt' / '__init__.py'}\n", ["PYTHONPATH"])


@pytest.mark.parametrize("value", ["true", "1", "YES", " on "])
def test_an_installed_agent_starts_when_the_environment_says_so(host, installed, value):
    ended = host.run([installed, "-c", ""], MYSTIC_ENABLED=value)
    assert (ended.err, ways(ended)) == ("", ["environment"])


@pytest.mark.parametrize("value", [None, "", "false", "0", "no", "OFF"])
def test_an_installed_agent_does_nothing_unless_asked(host, installed, bare, value):
    variables = {} if value is None else {"MYSTIC_ENABLED": value}
    ended = host.run([installed, "-c", SEEN], **variables)
    assert (ended.starts, ended.err) == ([], "")
    assert "mystic" not in ended.out
    assert len(ended.out) == len(host.run([bare, "-c", SEEN]).out)


def test_a_value_that_is_neither_yes_nor_no_leaves_the_installed_agent_off_and_says_so_once(host, installed):
    ended = host.run([installed, "-c", ""], MYSTIC_ENABLED="ture")
    assert ended.starts == []
    assert ended.err.count("\n") == 1
    assert "'ture', give true or false" in ended.err


@pytest.mark.parametrize("value", ["false", "0", "no", "Off"])
def test_the_kill_switch_leaves_no_module_thread_or_hook_behind(host, bare, recording, value):
    off = host.run([bare, "-c", SEEN], PYTHONPATH=recording, MYSTIC_ENABLED=value)
    without = host.run([bare, "-c", SEEN])
    assert off.starts == []
    assert off.out.split() == [
        word if "0x" not in word else seen for word, seen in zip(without.out.split(), off.out.split(), strict=True)
    ]


def test_both_ways_together_start_the_agent_once(host, installed, recording):
    ended = host.run([installed, "-c", ""], PYTHONPATH=recording, MYSTIC_ENABLED="true")
    assert (ended.err, ways(ended)) == ("", ["environment"])


def test_a_pth_file_processed_twice_starts_the_agent_once(host, installed):
    again = "import site, sys; [site.addsitedir(p, set()) for p in list(sys.path) if p.endswith('site-packages')]"
    ended = host.run([installed, "-c", again], MYSTIC_ENABLED="true")
    assert (ended.err, ways(ended)) == ("", ["environment"])


def test_a_pth_file_in_two_site_folders_starts_the_agent_once(host, install, tmp_path):
    python = install(True)
    [packages] = python.parent.parent.glob("lib/python*/site-packages")
    (tmp_path / "second").mkdir()
    shutil.copy(packages / "gnosis_mystic.pth", tmp_path / "second")
    (packages / "more.pth").write_text(f"import site; site.addsitedir({str(tmp_path / 'second')!r})\n")
    assert ways(host.run([python, "-c", ""], MYSTIC_ENABLED="true")) == ["environment"]


@pytest.mark.parametrize(
    "flags", [["-I"], ["-E"], ["-S"], ["-P"], ["-s"], ["-O"], ["-I", "-S"], ["-X", "dev"]], ids=str
)
def test_the_application_says_the_same_under_every_flag_of_python(host, bare, installed, recording, script, flags):
    app = script("import sys; print(__name__, sys.argv[1:], __debug__); print('no', file=sys.stderr); sys.exit(3)")
    without = host.run([bare, *flags, app, "x"])
    by_path = host.run([bare, *flags, app, "x"], PYTHONPATH=recording)
    by_both = host.run([installed, *flags, app, "x"], PYTHONPATH=recording, MYSTIC_ENABLED="true")
    assert without == by_path == by_both
    assert len(by_path.starts) <= 1
    assert len(by_both.starts) == ("-S" not in flags)


def test_sys_path_gains_nothing_but_the_folder_the_user_put_there(host, bare, recording):
    code = "import sys; print(sys.path)"
    seen = eval(host.run([bare, "-c", code], PYTHONPATH=recording).out)
    assert [entry for entry in seen if entry != str(recording)] == eval(host.run([bare, "-c", code]).out)


def test_the_application_gets_its_own_wrapt_and_none_of_the_other_packages_beside_ours(host, bare, recording, tmp_path):
    tree = tmp_path / "tree"
    shutil.copytree(recording.parent, tree)
    (tree / "beside_us.py").touch()
    (host.folder / "wrapt.py").write_text("mine = True")
    code = "import importlib.util, wrapt; print(wrapt.mine, importlib.util.find_spec('beside_us'))"
    ended = host.run([bare, "-c", code], PYTHONPATH=tree / "mystic_bootstrap")
    assert (ended.out, ways(ended)) == ("True None\n", ["PYTHONPATH"])


def test_no_file_of_the_folder_on_pythonpath_can_shadow_an_application_module(recording):
    names = {path.stem for path in Path(recording).iterdir() if path.name not in ("py.typed", "__pycache__")}
    assert names >= {"__init__", "sitecustomize"}
    assert {name for name in names - {"__init__", "sitecustomize"} if not name.startswith("mystic_")} == set()


def test_a_copy_without_the_agent_says_so_in_one_line_and_the_application_runs(host, bare, recording, tmp_path):
    shutil.copytree(recording, tmp_path / "mystic_bootstrap")
    ended = host.run([bare, "-c", "print('ran')"], PYTHONPATH=tmp_path / "mystic_bootstrap")
    assert (ended.code, ended.out, ended.err.count("\n")) == (0, "ran\n", 1)
    assert "mystic_agent and wrapt not found" in ended.err
    assert "-m pip install gnosis-mystic" in ended.err


@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        ("mystic_agent/settings/__init__.py", "the agent could not start (SyntaxError"),
        ("mystic_agent/lifecycle.py", "the agent could not start (SyntaxError"),
        ("mystic_bootstrap/mystic_finder.py", "the agent could not start (SyntaxError"),
        ("mystic_bootstrap/__init__.py", "is damaged (SyntaxError"),
    ],
)
def test_a_damaged_copy_says_so_in_one_line_and_the_application_runs(host, bare, recording, tmp_path, damaged, said):
    shutil.copytree(recording.parent, tmp_path / "tree")
    (tmp_path / "tree" / damaged).write_text("def broken(:\n")
    ended = host.run([bare, "-c", "print('ran')"], PYTHONPATH=tmp_path / "tree" / "mystic_bootstrap")
    assert (ended.code, ended.out, ended.err.count("\n")) == (0, "ran\n", 1)
    assert said in ended.err


def test_a_lifecycle_that_fails_costs_one_line_and_the_application_runs(host, bare, recording, tmp_path):
    shutil.copytree(recording.parent, tmp_path / "tree")
    (tmp_path / "tree" / "mystic_agent" / "lifecycle.py").write_text("def start(s, w): raise OSError('a\\nb')\n")
    ended = host.run([bare, "-c", "print('ran')"], PYTHONPATH=tmp_path / "tree" / "mystic_bootstrap")
    assert (ended.code, ended.out) == (0, "ran\n")
    assert ended.err == "mystic: the agent could not start (OSError: a b); the application runs without it\n"


def test_an_old_python_runs_the_application_and_says_one_line(host, old_python, recording, script):
    app = script("print('ran')")
    ended = host.run([old_python, app], PYTHONPATH=recording)
    assert (ended.code, ended.out, ended.starts, ended.err.count("\n")) == (0, "ran\n", [], 1)
    assert "is not supported, the agent needs 3.11 or newer" in ended.err
    assert host.run([old_python, app], PYTHONPATH=recording, MYSTIC_ENABLED="false").err == ""


def test_an_old_python_still_runs_the_users_sitecustomize(host, old_python, recording, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("print('mine')")
    ended = host.run([old_python, "-c", ""], PYTHONPATH=f"{recording}:{tmp_path}", MYSTIC_ENABLED="false")
    assert ended.out == "mine\n"


def test_an_application_started_with_closed_streams_runs(host, bare, copied, recording, tmp_path):
    shutil.copytree(recording, tmp_path / "mystic_bootstrap")
    code = "open('ran', 'w').close()"
    command = f'{bare} -c "{code}" <&- >&- 2>&-'
    ended = host.run(["/bin/sh", "-c", command], PYTHONPATH=tmp_path / "mystic_bootstrap")
    assert (ended.code, (host.folder / "ran").exists()) == (0, True)


@pytest.mark.parametrize(
    "argv", [["-m", "mystic_agent.cli", "version"], ["-X", "utf8", "-m", "mystic_agent.cli", "version"]]
)
def test_the_agent_does_not_start_in_our_own_program(host, installed, argv):
    ended = host.run([installed, *argv], MYSTIC_ENABLED="true")
    assert (ended.code, ended.starts, ended.err) == (0, [], "")
