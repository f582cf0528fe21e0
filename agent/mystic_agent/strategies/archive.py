"""Where recordings are kept beyond this process, as strategies see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from mystic_agent.contract.recording import Recorded


class Archive(Protocol):
    """Outcomes by recording and function. Nothing here blocks or fails for the caller."""

    def keep(self, recording: str, outcome: Recorded) -> None:
        """Have one outcome kept, soon and by another thread; dropped and counted when there is no room."""

    def load(self, recording: str, function: str, most: int, take: Callable[[Sequence[Recorded]], object]) -> None:
        """Have what is recorded of a function handed over to ``take``, by another thread and once it is to be had.

        Args:
            recording: its name.
            function: ``module:qualname``.
            most: outcomes at most; the latest of each call.
            take: called once, also when there is nothing.
        """
