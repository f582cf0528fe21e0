"""The token that collector and sidecar share, on the collector's side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def shared(token: str, path: Path | None) -> Callable[[], str]:
    """Return what reads the token that is shared with the sidecar; nothing while there is none.

    Args:
        token: as it was given, or nothing.
        path: the file that it is in else.
    """

    def read() -> str:
        if token or path is None:
            return token
        try:
            return path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""  # the sidecar has not made it yet: it will refuse us, and say how it is shared

    return read
