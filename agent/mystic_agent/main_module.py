"""The functions of ``__main__``: a script is run by the interpreter itself, no import tells us about it.

While the script's top level is being executed, its new functions are picked up before each of its lines, until
the last ``def`` or ``class`` has been passed; so that ``if __name__ == "__main__": main()`` finds them hijacked.
Python 3.12 and newer tell us about lines of this one code object only (``sys.monitoring``, PEP 669). Before
that, ``sys.settrace`` is used for as long as the definitions last, and only when no debugger or coverage tool
has it; it is given up after MOST_CALLS calls, and functions defined later are found by the agent's thread.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from mystic_agent.guard import guard

MOST_CALLS = 500_000
_PREFERRED_TOOL = 4


def watch(wanted: Callable[[], bool], arrived: Callable[[], None]) -> Callable[[], None]:
    """Watch the top level of ``__main__``; return the undo.

    Args:
        wanted: asked once when the script starts: do its functions matter?
        arrived: called whenever there may be new functions.
    """
    if "__file__" in vars(sys.modules["__main__"]):
        return lambda: None  # it runs already; whoever started us looks at it directly
    watcher = (_Monitored if sys.version_info >= (3, 12) else _Traced)(wanted, arrived)
    return watcher.start()


def last_definition(code: CodeType) -> int:
    """Return the first line of the last function or class defined at the top level of ``code``."""
    lines = [c.co_firstlineno for c in code.co_consts if isinstance(c, CodeType) and not c.co_name.startswith("<")]
    return max(lines, default=0)


class _Watcher:
    def __init__(self, wanted: Callable[[], bool], arrived: Callable[[], None]) -> None:
        self.wanted = wanted
        self.arrived = arrived
        self.space = vars(sys.modules["__main__"])
        self.known = -1
        self.last = 0

    def begins(self, frame: FrameType) -> bool:
        """True when ``frame`` is the top level of the script and its functions matter."""
        if frame.f_globals is not self.space or frame.f_code.co_name != "<module>":
            return False
        self.last = last_definition(frame.f_code)
        return bool(guard.run("main", self.wanted, False))

    def line(self, number: int) -> bool:
        """Take one line of the script; True when there is no need to see another."""
        if len(self.space) != self.known:
            self.known = len(self.space)
            guard.run("main", self.arrived, None)
        return number > self.last


class _Traced(_Watcher):
    calls = 0

    def start(self) -> Callable[[], None]:
        if sys.gettrace() is not None:
            return lambda: None
        sys.settrace(self._call)
        return self._stop

    def _stop(self) -> None:
        if getattr(sys.gettrace(), "__self__", None) is self:
            sys.settrace(None)

    def _call(self, frame: FrameType, event: str, arg: Any) -> Any:
        self.calls += 1
        if self.calls > MOST_CALLS:
            self._stop()
            return None
        if frame.f_globals is self.space and frame.f_code.co_name == "<module>":
            if self.begins(frame):
                return self._line
            self._stop()
        return None

    def _line(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "return" or (event == "line" and self.line(frame.f_lineno)):
            guard.run("main", self.arrived, None)
            self._stop()
            return None
        return self._line


class _Monitored(_Watcher):
    code: CodeType | None = None
    tool = _PREFERRED_TOOL

    def start(self) -> Callable[[], None]:
        monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
        self.m = monitoring
        free = [tool for tool in (_PREFERRED_TOOL, 3) if monitoring.get_tool(tool) is None]
        if not free:
            return lambda: None
        self.tool = free[0]
        monitoring.use_tool_id(self.tool, "mystic")
        monitoring.register_callback(self.tool, monitoring.events.PY_START, self._started)
        monitoring.register_callback(self.tool, monitoring.events.LINE, self._line)
        monitoring.set_events(self.tool, monitoring.events.PY_START)
        return self._stop

    def _stop(self) -> None:
        m = self.m
        if m.get_tool(self.tool) != "mystic":
            return
        m.set_events(self.tool, 0)
        if self.code is not None:
            m.set_local_events(self.tool, self.code, 0)
        for event in (m.events.PY_START, m.events.LINE):
            m.register_callback(self.tool, event, None)
        m.free_tool_id(self.tool)

    def _started(self, code: CodeType, offset: int) -> Any:
        frame = sys._getframe(1)
        if code.co_name == "<module>" and frame.f_globals is self.space:
            self.m.set_events(self.tool, 0)
            if self.begins(frame):
                self.code = code
                self.m.set_local_events(self.tool, code, self.m.events.LINE)
            else:
                self._stop()
        return self.m.DISABLE

    def _line(self, code: CodeType, number: int) -> Any:
        if self.line(number):
            self._stop()
        return None
