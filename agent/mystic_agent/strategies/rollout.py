"""rollout: callers move to a new implementation share by share, and one who is in stays in while the share grows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mystic_agent.strategies import Stage, Subject, alternative, sticky


def refuse(subject: Subject, options: Mapping[str, Any]) -> str:
    """What the other implementation must be, see ``alternative``; the key must begin with a parameter."""
    return alternative.refuse(subject, "rollout", options["to"]) or sticky.refuse(subject, "rollout", options)


def make(subject: Subject, options: Mapping[str, Any], following: Stage) -> Stage:
    """Return a stage that sends the callers in the share to the new implementation."""
    choose = sticky.by_key(subject, "rollout", options, "old", "new")
    return alternative.route(subject, "rollout", options["to"], choose, following)
