"""Reads a value out of the arguments of a call by a path (see ``contract.path``).

Attributes are read as the application would read them, so that properties run.
"""

from __future__ import annotations

from typing import Any

from mystic_agent.contract.path import Path
from mystic_agent.strategies import Subject


class Unreadable(Exception):
    """There is no such value.

    Attributes:
        reason: of few distinct values; it is counted.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Reading:
    """Finds one value in the arguments of a function.

    Args:
        subject: the function.
        path: where; its first step is the name of a parameter, or of one that ``**kwargs`` takes.
        shown: the path as people wrote it.

    Attributes:
        problem: why the path cannot be read on this function; empty when it can.
    """

    def __init__(self, subject: Subject, path: Path, shown: str) -> None:
        first, *steps = path
        names = subject.parameters
        self.problem = ""
        self._steps: tuple[str | int, ...] = tuple(steps)
        self._shown = shown
        self._first = 0
        if first in names:
            self._first = names.index(str(first))
        elif subject.double_star >= 0:
            self._first = subject.double_star
            self._steps = (first, *steps)
        else:
            self.problem = f"begins with {first}, but the parameters are {', '.join(names) or 'none'}"

    def read(self, values: tuple[Any, ...]) -> Any:
        """Return the value.

        Raises:
            Unreadable: when the arguments hold none.
        """
        return follow(values[self._first], self._steps, self._shown)


def follow(value: Any, steps: tuple[str | int, ...], shown: str) -> Any:
    """Return what is found from ``value`` on by attributes, keys and positions.

    Raises:
        Unreadable: when there is no such thing.
    """
    for step in steps:
        try:
            value = value[step] if isinstance(step, int) or isinstance(value, dict) else getattr(value, step)
        except (AttributeError, LookupError, TypeError, RuntimeError):  # RuntimeError: flask outside of a request
            raise Unreadable(f"no {shown}") from None
    return value
