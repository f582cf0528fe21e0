"""redirect: every call goes to another implementation, which must take the same calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mystic_agent.strategies import Stage, Subject, alternative
from mystic_agent.strategies.decision import Decision


def refuse(subject: Subject, options: Mapping[str, Any]) -> str:
    """What the other implementation must be, see ``alternative``."""
    return alternative.refuse(subject, "redirect", options["to"])


def make(subject: Subject, options: Mapping[str, Any], following: Stage) -> Stage:
    """Return a stage that calls the other implementation."""
    chosen = (True, Decision(subject, "redirect", "redirected"))
    return alternative.route(subject, "redirect", options["to"], lambda values: chosen, following)
