"""State of a strategy that outlives a re-attach: a breaker stays open when another strategy is put beside it.

It is one hijack's, and gone with it: nobody is served tomorrow what a hijack kept that was released today.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from mystic_agent.strategies import Subject

MOST = 8
"""States of one strategy of a hijack on one function, for as many codes and closures; the oldest go first."""


class State(Protocol):
    """What may be kept."""

    def reset(self) -> None:
        """Take new locks and forget what other threads had under way, as a forked child must."""


S = TypeVar("S", bound=State)


def kept(subject: Subject, strategy: str, options: Mapping[str, Any], make: Callable[[], S], apart: object = None) -> S:
    """Return the hijack's state of ``strategy`` with these options on this function's code, made when there is none.

    Args:
        options: as the hijack has them.
        make: makes a state.
        apart: what else a state is for.
    """
    key = (strategy, subject.hijack, wording(options), subject.code, apart)
    found = subject.keep.get(key)
    if found is None:
        mine = [one for one in subject.keep if one[:2] == key[:2]]
        for old in mine[: max(0, len(mine) - MOST + 1)]:
            del subject.keep[old]
        found = subject.keep[key] = make()
    return found


def wording(options: Mapping[str, Any]) -> str:
    """Return options as they are part of a state's key."""
    return repr(sorted(options.items()))
