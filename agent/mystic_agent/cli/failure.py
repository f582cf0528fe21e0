"""The error a command ends with: what happened, and what to do."""

from __future__ import annotations


class Failure(Exception):
    """A command cannot do its work.

    Args:
        what: what happened, naming the thing with ``repr``.
        remedy: what the user should do.
        code: exit code; 1 unless the usage was wrong.
    """

    def __init__(self, what: str, remedy: str, code: int = 1) -> None:
        self.code = code
        super().__init__(f"{what}; {remedy}")
