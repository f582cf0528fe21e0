"""Where in the arguments of a call a value is: ``user_id``, ``request.user.id``, ``items[0].owner``. No code.

A path names a parameter, then attributes or keys by ``.name`` and positions by ``[number]``. Names that begin with an
underscore are refused, so that no path leads into the machinery of Python.
"""

from __future__ import annotations

import re

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.pattern import pattern

Path = tuple[str | int, ...]
"""The parameter's name, then names and positions."""

LONGEST = 200
MOST_STEPS = 10
_FORM = pattern(r"[A-Za-z]\w*(?:\.[A-Za-z]\w*|\[\d{1,6}\])*", re.ASCII)
_STEP = pattern(r"\w+", re.ASCII)


def parse_path(value: object, field: str) -> Path:
    """Return the steps of a path.

    Raises:
        Invalid: when it is none.
    """
    remedy = "give a path from a parameter's name, such as 'user_id', 'request.user.id' or 'items[0].owner'"
    if not isinstance(value, str) or len(value) > LONGEST or not _FORM.fullmatch(value):
        raise Invalid(field, value, remedy)
    steps = tuple(int(step) if step.isdigit() else step for step in _STEP.findall(value))
    if len(steps) > MOST_STEPS:
        raise Invalid(field, value, f"give at most {MOST_STEPS} steps")
    return steps
