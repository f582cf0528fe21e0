"""Programs that this process starts: by whom, how often, and how long they were waited for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter_ns
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

from mystic_agent.external.caller import caller
from mystic_agent.external.ledger import CONNECTIONS, ERRORS, OPERATIONS, RECEIVED, SENT, WAITED, Cells, Ledger
from mystic_agent.external.peer import program
from mystic_agent.external.stand_in import StandIns
from mystic_agent.guard import guard

PROTOCOL = "subprocess"


class Processes:
    """The programs that one process starts.

    Args:
        ledger: where sums are kept.
        project: true of the names of functions that are the project's own.
    """

    def __init__(self, ledger: Ledger, project: Callable[[str], bool]) -> None:
        self._ledger = ledger
        self._project = project
        self._standing = StandIns()
        self._started: WeakKeyDictionary[Any, Cells] = WeakKeyDictionary()
        self._waiting: set[int] = set()
        self._watched: set[int] = set()

    def install(self) -> None:
        """Stand in for the methods of ``subprocess.Popen`` once it is loaded, and for ``os.system``."""
        kind = getattr(sys.modules.get("subprocess"), "Popen", None)
        if kind is not None and id(kind) not in self._watched:
            self._watched.add(id(kind))
            self._standing.put(kind, "__init__", self._starting)
            self._standing.put(kind, "wait", self._waiting_for)
            self._standing.put(kind, "communicate", self._waiting_for)
        module = sys.modules.get("os")
        if module is not None and id(module) not in self._watched:
            self._watched.add(id(module))
            self._standing.put(module, "system", self._system)

    def remove(self) -> None:
        """Put everything back."""
        self._standing.remove()
        self._watched.clear()

    def _cells(self, args: Any, shell: bool, frame: FrameType) -> Cells:
        cells = self._ledger.cells(caller(frame, self._project), program(args, shell), PROTOCOL)
        cells[OPERATIONS] += 1
        return cells

    def _starting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        cells_of, started = self._cells, self._started

        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - stands for one
            command = args[0] if args else kwargs.get("args")
            cells = guard.run("external", cells_of, None, command, kwargs.get("shell") is True, sys._getframe(1))
            began = perf_counter_ns()
            try:
                original(self, *args, **kwargs)
            except BaseException:
                if cells is not None:
                    cells[ERRORS] += 1
                raise
            finally:
                if cells is not None:
                    cells[WAITED] += perf_counter_ns() - began
            if cells is not None:
                cells[CONNECTIONS] += 1
                guard.run("external", started.__setitem__, None, self, cells)

        return __init__

    def _waiting_for(self, original: Callable[..., Any]) -> Callable[..., Any]:
        started, waiting = self._started, self._waiting

        def wait(self: Any, *args: Any, **kwargs: Any) -> Any:
            cells, key = guard.run("external", started.get, None, self), id(self)
            if cells is None or key in waiting:  # communicate waits as well
                return original(self, *args, **kwargs)
            waiting.add(key)
            began = perf_counter_ns()
            try:
                result = original(self, *args, **kwargs)
            finally:
                waiting.discard(key)
                cells[WAITED] += perf_counter_ns() - began
            guard.run("external", _told, None, cells, args, kwargs, result)
            return result

        return wait

    def _system(self, original: Callable[..., Any]) -> Callable[..., Any]:
        cells_of = self._cells

        def system(command: Any) -> Any:
            cells = guard.run("external", cells_of, None, command, True, sys._getframe(1))
            began = perf_counter_ns()
            try:
                return original(command)
            finally:
                if cells is not None:
                    cells[WAITED] += perf_counter_ns() - began

        return system


def _told(cells: Cells, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
    """Count what ``communicate`` gave and got."""
    if type(result) is tuple:
        given = args[0] if args else kwargs.get("input")
        cells[SENT] += len(given) if isinstance(given, str | bytes) else 0
        cells[RECEIVED] += sum(len(part) for part in result if isinstance(part, str | bytes))
