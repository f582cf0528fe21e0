"""Puts the chat into a client's configuration file and takes it out, with what was there kept beside it."""

from __future__ import annotations

import contextlib
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mystic_collector.clients.document import Unreadable, changed, entry, read
from mystic_collector.replacement import put

OURS = ("type", "command", "args", "env", "url", "headers")
"""What an entry says of how a server is reached; what else a person has set in one stays."""
_PRIVATE = 0o600
_LARGEST = 64 * 1024 * 1024


class Refused(Exception):
    """A file was left as it is.

    Args:
        what: why, naming file and line.
        remedy: what to do.
    """

    def __init__(self, what: str, remedy: str) -> None:
        self.what = what
        self.remedy = remedy
        super().__init__(f"{what}; {remedy}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file.

    Attributes:
        file: where it is, links followed.
        state: ``added``, ``replaced``, ``removed``, ``unchanged`` or ``absent`` (there was nothing to remove).
        entry: what was wanted; what else the file says is nobody's business.
        backup: what was there before; empty when nothing was, or nothing changed.
    """

    file: str
    state: str
    entry: dict[str, Any]
    backup: str = ""


def install(
    path: Path,
    section: str,
    name: str,
    wanted: dict[str, Any] | None,
    *,
    commented: bool = False,
    dry_run: bool = False,
    clock: Callable[[], float] = time.time,
) -> Outcome:
    """Make ``wanted`` the server ``name`` in the file, or take that out where it is None.

    Args:
        section: the object in the file that holds the servers.
        commented: the client takes comments in its file; they stay.
        dry_run: say what would become of it, and write nothing.

    Raises:
        Refused: when the file cannot be read as it is, or another program changed it meanwhile.
        OSError: when it cannot be written; what was there is as it was.
    """
    path = path.resolve()  # what a link points to is the file
    before = _text(path)
    try:
        document = read(before or "", commented)
        there = entry(document, section, name)
        merged = None if wanted is None else {**_kept(there), **wanted}
        if merged == there:
            return Outcome(str(path), "unchanged" if there else "absent", wanted or {})
        text = changed(document, section, name, merged)
    except Unreadable as error:
        where = f"{path}, line {error.line}" if error.line else str(path)
        raise Refused(f"{where}: {error.what}", error.remedy) from error
    state = "removed" if merged is None else "added" if there is None else "replaced"
    backup = "" if dry_run else _write(path, before, text, clock)
    return Outcome(str(path), state, wanted or {}, backup)


def _kept(there: dict[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (there or {}).items() if key not in OURS}


def _text(path: Path) -> str | None:
    """Return what is in the file, line ends included; None when there is none."""
    try:
        if path.stat().st_size > _LARGEST:
            raise Refused(f"{path} is larger than {_LARGEST >> 20} MiB", "name the client's configuration by --file")
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        raise Refused(f"{path.parent} is not a folder", "name the client's configuration by --file") from error
    except UnicodeDecodeError as error:
        raise Refused(f"{path} is not UTF-8 (byte {error.start})", "save it as UTF-8") from error


def _write(path: Path, before: str | None, text: str, clock: Callable[[], float]) -> str:
    """Replace the file; return where what was there is kept."""
    if before is None:
        put(path, text, _PRIVATE)
        return ""
    mode = stat.S_IMODE(path.stat().st_mode)
    kept = _backup(path, clock)
    put(kept, before, mode)
    if _text(path) != before:  # clients write their own settings there while they run
        with contextlib.suppress(OSError):
            kept.unlink()
        raise Refused(f"{path} was changed by another program meanwhile", "try once more, best with the client closed")
    put(path, text, mode)
    return str(kept)


def _backup(path: Path, clock: Callable[[], float]) -> Path:
    moment = time.strftime("%Y%m%d-%H%M%S", time.localtime(clock()))
    names = (f"{path.name}.{moment}{suffix}.bak" for suffix in ("", *(f"-{number}" for number in range(1, 1000))))
    return next(path.with_name(one) for one in names if not path.with_name(one).exists())
