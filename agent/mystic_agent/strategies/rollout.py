"""rollout: callers move to a new implementation share by share, and one who is in stays in while the share grows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mystic_agent.strategies import Stage, Subject, alternative
from mystic_agent.strategies.decision import Decision
from mystic_agent.strategies.reading import Unreadable
from mystic_agent.strategies.sticky import Sticky


def refuse(subject: Subject, options: Mapping[str, Any]) -> str:
    """What the other implementation must be, see ``alternative``; the key must begin with a parameter."""
    problem = alternative.refuse(subject, "rollout", options["to"])
    if problem:
        return problem
    problem = Sticky(subject, options["key"], options["share"], options["salt"]).problem
    return f"rollout.{problem}" if problem else ""


def make(subject: Subject, options: Mapping[str, Any], following: Stage) -> Stage:
    """Return a stage that sends the callers in the share to the new implementation."""
    sticky = Sticky(subject, options["key"], options["share"], options["salt"])
    old, new = (False, Decision(subject, "rollout", "old")), (True, Decision(subject, "rollout", "new"))

    def choose(values: tuple[Any, ...]) -> tuple[bool, Decision]:
        try:
            return new if sticky.covers(values) else old
        except Unreadable as why:
            return False, Decision(subject, "rollout", "old", why.reason)

    return alternative.route(subject, "rollout", options["to"], choose, following)
