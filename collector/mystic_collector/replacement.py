"""A file that is there whole or as it was."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def put(path: Path, text: str, mode: int, *, folder_mode: int = 0o777) -> None:
    """Write the whole file or nothing: beside its place first, then moved there. Line ends stay as in ``text``.

    Args:
        mode: of the file.
        folder_mode: of folders that are missing, before the umask.

    Raises:
        OSError: when it cannot be written; what was there is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=folder_mode)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).chmod(mode)
        Path(beside).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(beside).unlink()
        raise
