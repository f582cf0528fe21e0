"""One command of the ``mystic`` program."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """What the program needs to offer a command.

    Attributes:
        name: the word after ``mystic``.
        help: one line for the list of commands.
        example: a command line shown at the end of ``--help``.
        configure: adds the command's own arguments; ``--format`` is added by the program.
        run: does the work and returns the exit code: 0 done, 1 failed, 2 bad usage.
    """

    name: str
    help: str
    example: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
