"""How a command ends: 0 done, 1 failed, 2 bad usage; errors on stderr with what to do."""

from __future__ import annotations

import argparse
import functools
import json
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any

from mystic_agent.contract.errors import Invalid

from mystic_collector.store.protocol import StoreError
from mystic_collector.units import duration as duration

Run = Callable[[argparse.Namespace], int]
_LEAST = 16
"""Characters left of a name however narrow the terminal is."""


class Failed(Exception):
    """A command could not do its work.

    Args:
        what: what happened, naming the thing.
        remedy: what to do.
        code: 1, or 2 when the usage was wrong.
    """

    def __init__(self, what: str, remedy: str = "", code: int = 1) -> None:
        self.code = code
        super().__init__(f"{what}; {remedy}" if remedy else what)


def ending(run: Run) -> Run:
    """Turn the errors of a command into a line on stderr and an exit code."""

    @functools.wraps(run)
    def ended(args: argparse.Namespace) -> int:
        try:
            return run(args)
        except Invalid as error:
            return _say(f"{error.field} is {error.shown}; {error.remedy}", 2)
        except Failed as error:
            return _say(str(error), error.code)
        except BrokenPipeError:
            raise  # the program ends quietly when its reader has gone
        except (StoreError, OSError) as error:
            return _say(str(error), 1)

    return ended


def _say(text: str, code: int) -> int:
    print(f"mystic: {text}", file=sys.stderr)
    return code


def show(args: argparse.Namespace, value: Any, text: str) -> None:
    """Print ``value`` as JSON with ``--format json``, else ``text``."""
    if getattr(args, "format", "text") == "json":
        print(json.dumps(value, indent=2, default=str))
    elif text:
        print(text)


def whole(text: str, name: str, most: int, least: int = 1) -> int:
    """Return a whole number that was typed.

    Raises:
        Failed: with code 2 when it is none from ``least`` to ``most``.
    """
    if text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most:
        return int(text)
    raise Failed(f"{name} is {text[:80]!r}", f"give a whole number from {least} to {most}", 2)


def moment(at: float) -> str:
    """Return Unix seconds as the date and time of here."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def plain(text: object) -> str:
    """Return foreign text on one line without control characters: it goes to somebody's terminal."""
    return "".join(char if char.isprintable() else " " for char in str(text))


def columns(rows: list[list[str]], right: tuple[int, ...] = (), names: int = 0) -> str:
    """Return rows in aligned columns; those in ``right`` are aligned to the right.

    On a terminal the cells of column ``names`` are cut from the left, where needed, for a line to fit: the end of
    a dotted name tells more than its beginning.
    """
    if not rows:
        return ""
    rows = [[plain(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _shorten(rows, names, shutil.get_terminal_size().columns)
    widths = _widths(rows)
    lines = (
        "  ".join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _shorten(rows: list[list[str]], names: int, line: int) -> None:
    widths = _widths(rows)
    room = max(_LEAST, line - sum(widths) - 2 * (len(widths) - 1) + widths[names])
    for row in rows:
        if len(row[names]) > room:
            row[names] = "…" + row[names][1 - room :]


def _widths(rows: list[list[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]
