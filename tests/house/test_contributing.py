"""The map that newcomers get is the land as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def guide(root: Path) -> str:
    return (root / "CONTRIBUTING.md").read_text(encoding="utf-8")


def mapped(guide: str) -> list[str]:
    """Return the paths of the tree, from the root of the project."""
    [tree] = re.findall(r"^```text\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    above, paths = "", []
    for line in tree.splitlines():
        name = line.split()[0]
        if line.startswith(" "):
            paths.append(above + name)
        else:
            above = name
            paths.append(name)
    return paths


def test_every_place_on_the_map_exists(root: Path, guide: str) -> None:
    for path in mapped(guide):
        assert (root / path).is_dir() if path.endswith("/") else (root / path).is_file(), f"there is no {path}"


def test_every_package_module_and_folder_is_on_the_map(root: Path, guide: str) -> None:
    paths = set(mapped(guide))
    for folder in ("agent/mystic_agent", "collector/mystic_collector", "sitecustomize", "deploy", "tests"):
        for entry in (root / folder).iterdir():
            is_code = entry.is_dir() or (entry.suffix in (".py", ".pth") and entry.stem not in ("__init__", "conftest"))
            if is_code and any(one.is_file() for one in [entry, *entry.rglob("*.py")]) and entry.name[0] not in "._":
                assert f"{folder}/{entry.name}{'/' * entry.is_dir()}" in paths, f"the map lacks {folder}/{entry.name}"


def test_every_path_that_the_guide_names_exists(root: Path, guide: str) -> None:
    named = re.findall(r"`((?:agent|collector|sitecustomize|deploy|docs|tests)/[\w./]+)`", guide)
    assert len(named) > 10
    assert not [path for path in named if not (root / path).exists()]
