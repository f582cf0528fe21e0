"""What belongs to the project is told by where folders and files really are."""

from __future__ import annotations

import os
from types import ModuleType

import pytest
from mystic_agent.scope import Scope


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "project" / "package" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere" / "package").mkdir(parents=True)
    (tmp_path / "elsewhere" / "module.py").touch()
    (tmp_path / "project" / "outside").symlink_to("../elsewhere")
    (tmp_path / "project" / "package" / "above").symlink_to("..")
    (tmp_path / "project" / "linked.py").symlink_to("../elsewhere/module.py")
    (tmp_path / "elsewhere" / "inside").symlink_to("../project/package")
    return tmp_path


FOLDERS = (
    *("project", "project/", "project/package/deep", "project/outside", "project/outside/package", "elsewhere/inside"),
    *("elsewhere/inside/deep", "elsewhere/inside/above/package", "project/outside/../elsewhere", "project//package"),
    *("project/./package", "missing/folder", ""),
)


def loaded(file):
    module = ModuleType("module")
    module.__file__ = str(file)
    return module


@pytest.mark.parametrize("entry", FOLDERS)
def test_a_folder_is_of_the_project_exactly_when_it_really_is_below_its_root(tree, entry):
    scope = Scope(str(tree / "project"), (), ())
    root = os.path.join(os.path.realpath(tree / "project"), "")
    given = os.path.join(str(tree), entry)
    for _ in range(2):
        file = os.path.join(given, "module.py")
        really = os.path.join(os.path.realpath(given), "").startswith(root)
        assert scope.by_default("module", loaded(file)) == really


def test_a_file_that_is_a_link_is_of_the_project_when_what_it_leads_to_is(tree):
    scope = Scope(str(tree / "project"), (), ())
    assert not scope.by_default("linked", loaded(tree / "project" / "linked.py"))
    (tree / "elsewhere" / "back.py").symlink_to("../project/package/own.py")
    (tree / "project" / "package" / "own.py").touch()
    assert scope.by_default("back", loaded(tree / "elsewhere" / "back.py"))


def test_a_folder_of_a_relative_path_is_looked_for_where_the_process_is(tree, monkeypatch):
    monkeypatch.chdir(tree / "project")
    assert Scope(str(tree / "project"), (), ()).by_default("module", loaded("package/module.py"))
    monkeypatch.chdir(tree / "elsewhere")
    assert not Scope(str(tree / "project"), (), ()).by_default("module", loaded("package/module.py"))
