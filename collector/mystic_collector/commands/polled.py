"""What processes come to after a change, asked for until they have, or for five seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

_Found = TypeVar("_Found")
_WAIT = 5.0
_EVERY = 0.1


def polled(found: _Found, again: Callable[[], _Found], enough: Callable[[_Found], bool]) -> _Found:
    """Return what is ``enough``, beginning with ``found``, or the last there was when time is up."""
    deadline = time.monotonic() + _WAIT
    while not enough(found) and time.monotonic() <= deadline:
        time.sleep(_EVERY)
        found = again()
    return found
