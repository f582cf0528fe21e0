"""Where a value is that a call depends on: in its arguments, or in what belongs to its context.

``user_id`` and ``request.user.id`` are in the arguments (see ``contract.path``). ``contextvar:app.context:user`` is
what a context variable holds, ``local:flask:g.user_id`` what a thread-local or a context's proxy does; both may go on
with names and positions. The variable itself may begin with one underscore, nothing after it may.
"""

from __future__ import annotations

import re

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.named import NamedTuple
from mystic_agent.contract.path import LONGEST, parse_path
from mystic_agent.contract.pattern import pattern

ARGUMENT, CONTEXTVAR, LOCAL = "argument", "contextvar", "local"
_FORM = pattern(
    r"(contextvar|local):([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):(_?[A-Za-z]\w*)((?:\.[A-Za-z]\w*|\[\d{1,6}\])*)", re.ASCII
)


class Place(NamedTuple):
    """One place.

    Attributes:
        text: as it was written.
        kind: ARGUMENT, CONTEXTVAR or LOCAL.
        module: of the variable; empty for an argument.
        name: of the variable or parameter.
        steps: from there on, attributes or keys and positions.
    """

    text: str
    kind: str
    module: str
    name: str
    steps: tuple[str | int, ...]


def parse_place(value: object, field: str) -> Place:
    """Return the place that ``value`` names.

    Raises:
        Invalid: when it names none.
    """
    if not isinstance(value, str) or ":" not in value:
        first, *steps = parse_path(value, field)
        return Place(str(value), ARGUMENT, "", str(first), tuple(steps))
    match = _FORM.fullmatch(value) if len(value) <= LONGEST else None
    if match is None:
        raise Invalid(field, value, "write 'contextvar:package.module:name' or 'local:package.module:name.attribute'")
    kind, module, name, rest = match.groups()
    return Place(value, kind, module, name, parse_path("x" + rest, field)[1:])
