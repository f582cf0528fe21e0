"""How commands print: text for people, JSON for programs, colour only where it is wanted."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence

_COLOURS = {"ok": "32", "note": "36", "warn": "33", "fail": "31"}


def show(data: object, text: str, form: str) -> None:
    """Print ``data`` as JSON when ``form`` is ``json``, else ``text`` when there is any."""
    if form == "json":
        print(json.dumps(data, indent=2, default=str))
    elif text:
        print(text)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return ``rows`` in aligned columns, two spaces apart; the last column is not padded."""
    widths = [max(map(len, column)) for column in zip(*(row[:-1] for row in rows), strict=True)]
    return "\n".join("  ".join([*map(str.ljust, row[:-1], widths), row[-1]]).rstrip() for row in rows)


def plain(text: object) -> str:
    """Return foreign text on one line without control characters: it goes to somebody's terminal."""
    return "".join(char if char.isprintable() else " " for char in str(text))


def coloured(word: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return a word of judgement in its colour on a terminal, unless NO_COLOR is set."""
    if word in _COLOURS and sys.stdout.isatty() and not environ.get("NO_COLOR"):
        return f"\033[{_COLOURS[word]}m{word}\033[0m"
    return word
