"""ab: a share of calls goes to another implementation, drawn by lot, or by a key so that a caller keeps its side."""

from __future__ import annotations

import random as chance
from collections.abc import Callable, Mapping
from typing import Any

from mystic_agent.strategies import Stage, Subject, alternative
from mystic_agent.strategies.decision import Decision
from mystic_agent.strategies.reading import Unreadable
from mystic_agent.strategies.sticky import Sticky


def refuse(subject: Subject, options: Mapping[str, Any]) -> str:
    """What the other implementation must be, see ``alternative``; the key must begin with a parameter."""
    problem = alternative.refuse(subject, "ab", options["to"])
    if not problem and options["key"]:
        problem = Sticky(subject, options["key"], options["share"], options["salt"]).problem
        return f"ab.{problem}" if problem else ""
    return problem


def make(
    subject: Subject,
    options: Mapping[str, Any],
    following: Stage,
    *,
    random: Callable[[], float] = chance.random,
) -> Stage:
    """Return a stage that divides the calls.

    Args:
        random: returns a share from 0 up to 1.
    """
    share = options["share"]
    old, new = (False, Decision(subject, "ab", "a")), (True, Decision(subject, "ab", "b"))
    if not options["key"]:
        return alternative.route(
            subject, "ab", options["to"], lambda values: new if random() < share else old, following
        )
    sticky = Sticky(subject, options["key"], share, options["salt"])

    def choose(values: tuple[Any, ...]) -> tuple[bool, Decision]:
        try:
            return new if sticky.covers(values) else old
        except Unreadable as why:
            return False, Decision(subject, "ab", "a", why.reason)

    return alternative.route(subject, "ab", options["to"], choose, following)
