"""ab: a share of calls goes to another implementation, drawn by lot, or by a key so that a caller keeps its side."""

from __future__ import annotations

import random as chance
from collections.abc import Callable, Mapping
from typing import Any

from mystic_agent.strategies import Stage, Subject, alternative, sticky
from mystic_agent.strategies.decision import Decision


def refuse(subject: Subject, options: Mapping[str, Any]) -> str:
    """What the other implementation must be, see ``alternative``; the key must begin with a parameter."""
    return alternative.refuse(subject, "ab", options["to"]) or sticky.refuse(subject, "ab", options)


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
    if options["key"]:
        choose = sticky.by_key(subject, "ab", options, "a", "b")
    else:
        share = options["share"]
        old, new = (False, Decision(subject, "ab", "a")), (True, Decision(subject, "ab", "b"))

        def choose(values: tuple[Any, ...]) -> tuple[bool, Decision]:
            return new if random() < share else old

    return alternative.route(subject, "ab", options["to"], choose, following)
