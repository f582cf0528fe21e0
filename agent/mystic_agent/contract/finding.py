"""What a doctor finds, the agent's as well as the collector's, whose findings the agent's shows beside its own."""

from __future__ import annotations

from typing import Any

from mystic_agent.contract.named import NamedTuple

VERDICTS = ("ok", "note", "warn", "fail")


class Finding(NamedTuple):
    """One thing looked at.

    Attributes:
        about: what was looked at.
        verdict: one of VERDICTS: ``note`` is as asked for, ``warn`` works but not as meant.
        detail: what was found, with the remedy when something is to be done.
    """

    about: str
    verdict: str
    detail: str

    def to_json(self) -> dict[str, Any]:
        """Return it as both doctors send it."""
        return {"about": self.about, "verdict": self.verdict, "detail": self.detail}
