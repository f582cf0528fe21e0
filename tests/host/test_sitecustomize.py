"""The user's own ``sitecustomize`` behaves as it would without us (H1)."""

from __future__ import annotations

import shutil

import pytest

USERS = {
    "prints": "print('mine')",
    "says what it sees": "import sys; print(__name__, __file__, [p for p in sys.path if 'mystic' in p])",
    "changes the path": "import sys; sys.path.insert(0, '/added'); sys.path.append('/appended')",
    "raises": "print('mine'); raise ValueError('no luck')",
    "lacks a module": "import not_there_at_all",
    "imports itself wrongly": "from sitecustomize import not_there",
    "breaks the syntax": "def broken(:",
    "sets a hook": "import sys; sys.excepthook = lambda *a: print('hooked', a[1])",
    "removes itself": "import sys; del sys.modules['sitecustomize']",
}
APP = """
import sys
print([p for p in sys.path if "added" in p or "appended" in p])
try:
    import sitecustomize
    print(sitecustomize.__file__)
except Exception as error:
    print(type(error), error, getattr(error, "name", None))
raise LookupError("the end")
"""


@pytest.mark.parametrize("source", USERS.values(), ids=USERS.keys())
def test_the_users_sitecustomize_does_what_it_does_without_us(host, bare, recording, tmp_path, source):
    (tmp_path / "sitecustomize.py").write_text(source)
    without = host.run([bare, "-c", APP], PYTHONPATH=tmp_path)
    with_us = host.run([bare, "-c", APP], PYTHONPATH=f"{recording}:{tmp_path}")
    assert with_us == without
    assert len(with_us.starts) == 1


@pytest.mark.parametrize("source", ["import sys; print('mine'); sys.exit(7)", "raise KeyboardInterrupt"])
def test_a_users_sitecustomize_that_ends_the_process_ends_it_in_the_same_way(host, bare, recording, tmp_path, source):
    (tmp_path / "sitecustomize.py").write_text(source)
    without = host.run([bare, "-c", APP], PYTHONPATH=tmp_path)
    with_us = host.run([bare, "-c", APP], PYTHONPATH=f"{recording}:{tmp_path}")
    assert (with_us.code, with_us.out, with_us.starts) == (without.code, without.out, [])
    # The interpreter dies of it and prints every frame; ours are two more.
    assert with_us.err.splitlines()[-3:] == without.err.splitlines()[-3:]


def test_without_a_sitecustomize_of_the_user_there_is_none(host, bare, recording):
    assert host.run([bare, "-c", APP], PYTHONPATH=recording) == host.run([bare, "-c", APP])


def test_a_folder_named_sitecustomize_is_what_it_is_without_us(host, bare, recording, tmp_path):
    (tmp_path / "sitecustomize").mkdir()
    with_us = host.run([bare, "-c", APP], PYTHONPATH=f"{recording}:{tmp_path}")
    assert with_us == host.run([bare, "-c", APP], PYTHONPATH=tmp_path)
    assert len(with_us.starts) == 1


def test_a_package_named_sitecustomize_is_run(host, bare, recording, tmp_path):
    (tmp_path / "sitecustomize").mkdir()
    (tmp_path / "sitecustomize" / "__init__.py").write_text("from sitecustomize import inner")
    (tmp_path / "sitecustomize" / "inner.py").write_text("print('inner')")
    with_us = host.run([bare, "-c", APP], PYTHONPATH=f"{recording}:{tmp_path}")
    assert with_us == host.run([bare, "-c", APP], PYTHONPATH=tmp_path)
    assert with_us.out.startswith("inner\n")


# As other agents chain: step aside, and import what is found next.
CHAINING = """
import os, sys
print("other agent")
here = os.path.dirname(os.path.abspath(__file__))
sys.path.remove(here)
del sys.modules["sitecustomize"]
try:
    import sitecustomize
except ImportError:
    pass
finally:
    sys.path.insert(0, here)
"""


@pytest.mark.parametrize("ours_first", [True, False])
def test_another_agent_that_chains_as_we_do_runs_once_and_so_does_the_users(
    host, bare, recording, tmp_path, ours_first
):
    for name, source in (("other", CHAINING), ("user", "print('mine')")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sitecustomize.py").write_text(source)
    first = [recording, tmp_path / "other"] if ours_first else [tmp_path / "other", recording]
    ended = host.run([bare, "-c", ""], PYTHONPATH=":".join(map(str, [*first, tmp_path / "user"])))
    assert (ended.out, ended.err, len(ended.starts)) == ("other agent\nmine\n", "", 1)


def test_two_copies_of_ours_start_one_agent_and_run_the_users_once(host, bare, recording, tmp_path):
    shutil.copytree(recording.parent, tmp_path / "second")
    (tmp_path / "sitecustomize.py").write_text("print('mine')")
    path = f"{recording}:{tmp_path / 'second' / 'mystic_bootstrap'}:{tmp_path}"
    ended = host.run([bare, "-c", ""], PYTHONPATH=path)
    assert (ended.out, ended.err, len(ended.starts)) == ("mine\n", "", 1)


def test_a_trailing_slash_and_a_symbolic_link_are_still_our_folder(host, bare, recording, tmp_path):
    (tmp_path / "link").symlink_to(recording)
    for entry in (f"{recording}/", tmp_path / "link"):
        ended = host.run([bare, "-c", ""], PYTHONPATH=entry)
        assert (ended.err, len(ended.starts)) == ("", 1)


def test_a_usercustomize_still_runs(host, recording, tmp_path, bare):
    (tmp_path / "usercustomize.py").write_text("print('user')")
    code = "import site; site.execusercustomize()"
    ended = host.run([bare, "-c", code], PYTHONPATH=f"{recording}:{tmp_path}")
    assert "user\n" in ended.out
