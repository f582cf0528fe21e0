"""Commands that other distributions add through the entry point group ``mystic.commands``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points

from mystic_agent.cli.command import Command
from mystic_agent.cli.failure import Failure
from mystic_agent.guard import FAULTS

GROUP = "mystic.commands"
# Named here only so that a copied tree, which has no entry points, can say what it lacks.
COLLECTOR = ("serve", "init", "discover", "inspect", "status", "hijack", "release")
_INSTALL = "pip install 'gnosis-mystic[collector]'"


class Extensions:
    """The added commands: listed by name at no cost, loaded one at a time."""

    def __init__(self, points: list[EntryPoint] | None = None) -> None:
        found = entry_points(group=GROUP) if points is None else points
        self._points = {point.name: point for point in sorted(found, key=lambda point: point.name)}

    def load(self, name: str) -> Command | None:
        """Return the command ``name``, or None when nobody offers it.

        Raises:
            Failure: when it is known and cannot be loaded.
        """
        point = self._points.get(name)
        if point is None:
            if name in COLLECTOR:
                raise Failure(f"{name!r} needs the collector", _INSTALL)
            return None
        try:
            found = point.load()
        except ModuleNotFoundError as error:
            raise _lacking(name, error) from error
        except FAULTS as error:  # foreign code: one broken extension is an answer, not a crash
            raise Failure(f"{name!r} cannot be loaded ({error!r})", "reinstall the package that adds it") from error
        if not isinstance(found, Command):
            raise Failure(f"{name!r} is {point.value!r}, not a command", "update the package that adds it")
        return replace(found, run=_explaining(name, found.run))

    def summaries(self) -> dict[str, str]:
        """Return name → one line of help, also for those that cannot be loaded."""
        lines = {}
        for name in self._points or COLLECTOR:
            try:
                found = self.load(name)
                lines[name] = found.help if found else ""
            except Failure as failure:
                lines[name] = f"({failure})"
        return lines


def _explaining(name: str, run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Return ``run`` for a command that loads what it needs only when it runs."""

    def ran(args: argparse.Namespace) -> int:
        try:
            return run(args)
        except ModuleNotFoundError as error:
            raise _lacking(name, error) from error

    return ran


def _lacking(name: str, error: ModuleNotFoundError) -> Failure:
    if name in COLLECTOR:
        return Failure(f"{name!r} needs the collector", _INSTALL)
    return Failure(f"{name!r} needs the module {error.name!r}", "install it")
