"""Why a request was not taken."""

from __future__ import annotations


class RefusedError(Exception):
    """A request that is answered with ``status`` and ``message``; nothing of it was kept."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        self.message = message
        super().__init__(f"{status}: {message}")
