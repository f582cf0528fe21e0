"""Puts planned files into a project: creates, or replaces when asked to, and says what differs."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from mystic_collector.replacement import put
from mystic_collector.scaffold.plan import Planned


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file.

    Attributes:
        path: relative to the project.
        state: ``written``, ``unchanged``, ``kept`` (it is there and differs) or ``replaced``.
        difference: for kept and replaced files a unified diff from what was there to what was planned.
    """

    path: str
    state: str
    difference: str = ""


def write(root: Path, planned: list[Planned], *, force: bool = False, dry_run: bool = False) -> list[Outcome]:
    """Write what is missing, and with ``force`` also what differs.

    Raises:
        OSError: when a file cannot be read or written; those before it are there.
    """
    return [_one(root, one, force, dry_run) for one in planned]


def _one(root: Path, one: Planned, force: bool, dry_run: bool) -> Outcome:
    path = root / one.path
    try:
        there: str | None = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        there = None
    if there is None:
        if not dry_run:
            put(path, one.text, one.mode, folder_mode=0o700 if one.secret else 0o777)
        return Outcome(one.path, "written")
    if there == one.text or one.secret:
        return Outcome(one.path, "unchanged")
    difference = "".join(
        difflib.unified_diff(there.splitlines(True), one.text.splitlines(True), f"a/{one.path}", f"b/{one.path}")
    )
    if force and not dry_run:
        put(path, one.text, one.mode, folder_mode=0o700 if one.secret else 0o777)
    return Outcome(one.path, "replaced" if force else "kept", difference)
