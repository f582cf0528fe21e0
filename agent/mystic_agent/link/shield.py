"""The guard of the link's threads: what fails is handed to the owner, and the thread goes on."""

from __future__ import annotations

from collections.abc import Callable

from mystic_agent.guard import Guard, guard


class Shield(Guard):
    """A guard that passes every failure on.

    Args:
        on_fault: called with where and what; its own failure ends in the agent's guard.
    """

    def __init__(self, on_fault: Callable[[str, BaseException], None]) -> None:
        super().__init__()
        self._on_fault = on_fault

    def note(self, where: str, error: BaseException) -> None:
        """Remember one failure and tell the owner."""
        super().note(where, error)
        guard.run("link.on_fault", self._on_fault, None, where, error)
