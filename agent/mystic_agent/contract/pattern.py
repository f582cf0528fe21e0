"""Regular expressions that are compiled when they are first used.

Most processes are never sent a hijack and never have a secret to hide; compiling what would read them takes longer than
everything else that the agent does while an application starts.
"""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast

_USED = ("findall", "fullmatch", "match", "search", "sub")


class _Pattern:
    __slots__ = ("_flags", "_text", *_USED)

    def __init__(self, text: str | bytes, flags: int) -> None:
        self._text = text
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        """Put the methods of the compiled pattern into the slots, which are asked first from then on."""
        if name not in _USED:
            raise AttributeError(name)
        compiled = re.compile(self._text, self._flags)
        for one in _USED:
            setattr(self, one, getattr(compiled, one))
        return getattr(compiled, name)


def pattern(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return what behaves as ``re.compile(text, flags)`` when it is asked to match, search, find or replace.

    A mistake in ``text`` shows when it is first used.
    """
    return cast("re.Pattern[AnyStr]", _Pattern(text, flags))
