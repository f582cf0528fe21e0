"""Pages: as many rows as fit into one answer, and where the next page begins. Law: pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel

Row = TypeVar("Row", bound=BaseModel)

ROOM = 17_000
"""Characters for rows in an answer of 20,000; what stands around them needs the rest."""

ASKED = 200
"""Rows asked of the API at a time; no page has more."""


def start(cursor: str) -> int:
    """Return the first row of the page that ``cursor`` names.

    Raises:
        ToolError: when no tool gave it.
    """
    if not cursor:
        return 0
    if cursor.isascii() and cursor.isdigit() and len(cursor) < 12:
        return int(cursor)
    raise ToolError(f"cursor is {cursor[:40]!r}: give the one from the previous answer, or leave it out")


def fitting(rows: Iterable[Row], shown: Callable[[Row], str]) -> tuple[list[Row], list[str]]:
    """Return the first rows whose text and JSON both fit into an answer, with their text; at least one if there are."""
    kept: list[Row] = []
    lines: list[str] = []
    text = typed = 0
    for row in rows:
        one = shown(row)
        text += len(one) + 1
        typed += len(row.model_dump_json()) + 1
        if kept and (text > ROOM or typed > ROOM):
            break
        kept.append(row)
        lines.append(one)
    return kept, lines


def following(first: int, rows: int, total: int) -> str | None:
    """Return the cursor of the next page, None after the last."""
    return str(first + rows) if first + rows < total else None


def cursor_after(asked: Sequence[Mapping[str, Any]], shown: int, after: str | None) -> str | None:
    """Return where the next page of records begins: after the last row shown, which may not be the last that came.

    Args:
        asked: the records that came.
        shown: how many of them fit.
        after: the cursor after all of them.
    """
    return f"{asked[shown - 1]['time_ns']}.{asked[shown - 1]['id']}" if shown < len(asked) else after


def more(cursor: str | None) -> list[str]:
    """Return the line that says how to go on."""
    return [f'More: call again with cursor="{cursor}".'] if cursor else []


def shortened(value: Any, most: int = 2_000) -> str:
    """Return JSON of a captured value, bounded."""
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= most else text[: most - 1] + "…"
