"""What people search for when something goes wrong is what is printed then."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest


def texts(source: Path) -> Iterator[str]:
    """Yield every text in a source file, with … for what differs."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(one.value if isinstance(one, ast.Constant) else "…" for one in node.values)  # type: ignore[misc]  # parts of an f-string are text
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def titles(page: str) -> list[str]:
    return re.findall(r"^### `(.+)`$", page, re.MULTILINE)


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "troubleshooting.md").read_text(encoding="utf-8")


def test_every_title_of_the_page_is_a_text_of_the_code(root: Path, page: str) -> None:
    said = [text for folder in ("agent", "collector") for file in (root / folder).rglob("*.py") for text in texts(file)]
    assert len(titles(page)) > 20
    for title in titles(page):
        wanted = re.compile(".*".join(map(re.escape, title.split("…"))), re.DOTALL)
        assert any(wanted.search(text) for text in said), f"nothing says {title!r}"


def test_every_title_is_there_once_and_has_an_answer(page: str) -> None:
    listed = titles(page)
    assert len(listed) == len(set(listed)) == page.count("\n### ")
    assert not re.search(r"^### .*\n+## |^### [^\n]*\n*\Z", page, re.MULTILINE)
