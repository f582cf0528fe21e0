"""What a fork of the application must not notice of our threads.

Since Python 3.12 ``os.fork()`` warns when the process has several threads (DeprecationWarning, shown in ``__main__``).
An application that has none but ours would see a warning it did not earn, so it is filtered for as long as ours are
the only ones; an application with threads of its own is warned as before.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Container
from typing import Any

MESSAGE = r"This process \(pid=\d+\) is multi-threaded, use of fork"


class Silence:
    """The filter for that one warning.

    Args:
        ours: returns the identities of the agent's threads; those of the link ``threading`` does not know of.
    """

    def __init__(self, ours: Callable[[], Container[int]]) -> None:
        self._ours = ours
        self._filter: object = None

    def adjust(self) -> None:
        """Put the filter in or take it out; called before every fork."""
        threading = sys.modules.get("threading")
        ours = self._ours()
        alone = threading is not None and sum(one.ident not in ours for one in threading.enumerate()) <= 1
        if alone and self._filter is None:
            import warnings

            warnings.filterwarnings("ignore", message=MESSAGE, category=DeprecationWarning)
            self._filter = warnings.filters[0]
        elif not alone:
            self.remove()

    def remove(self) -> None:
        """Take the filter out, when it is in."""
        if self._filter is not None:
            import warnings

            filters: Any = warnings.filters
            if self._filter in filters:
                filters.remove(self._filter)
                warnings.filterwarnings("default", append=True)  # makes Python forget what it concluded before
                filters.pop()
            self._filter = None
