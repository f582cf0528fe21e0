"""Which of the project's functions is calling out, and through which function of a library."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType

from mystic_agent.contract.named import NamedTuple
from mystic_agent.observe.meter import Meter
from mystic_agent.observe.span import CURRENT, METER, place_now
from mystic_agent.redact import cut
from mystic_agent.trampoline import MARK

DEEPEST = 150
LONGEST = 300
_MACHINERY = frozenset(
    ("_thread", "asyncio", "concurrent", "contextvars", "gevent", "greenlet", "multiprocessing", "queue", "selectors",
     "socketserver", "threading", "uvloop")
)  # fmt: skip
_OWN = "mystic_agent"


class Caller(NamedTuple):
    """Who calls out.

    Attributes:
        function: the innermost function of the project, ``module:qualname``; empty when none is on the stack.
        via: the library function that it called, or with no such function the outermost one; empty for none.
    """

    function: str = ""
    via: str = ""


def caller(frame: FrameType | None, project: Callable[[str], bool], last: FrameType | None = None) -> Caller:
    """Return who is calling, from the frame of the operation outwards; the stack includes the chain of awaits.

    Args:
        project: true of the names of functions that are the project's own.
        last: the outermost frame that may have asked; None for all.

    In another thread, to which a function has handed the work, the running span of the context stands for it when
    the call is a sampled one.
    """
    passed: list[FrameType] = []
    for _ in range(DEEPEST):
        if frame is None:
            break
        code = frame.f_code
        file = code.co_filename
        if file.startswith(MARK):
            meter = next((one for one in code.co_consts if type(one) is Meter), None)
            if meter is not None and project(meter.function):
                return Caller(meter.function, _via(passed, _top(meter.function)))
        elif code.co_name == "_run" and file.endswith("events.py"):
            break  # of asyncio: what is further out runs the loop, and asked for nothing
        else:
            passed.append(frame)
        frame = frame.f_back if frame is not last else None
    place = place_now.get()
    span = place[CURRENT] if place is not None else None
    function = span[METER].function if span is not None else ""
    return Caller(function if function and project(function) else "", _via(passed, ""))


def ours(frame: FrameType | None) -> bool:
    """True when it is the agent's own link that connects."""
    for _ in range(4):
        if frame is None:
            return False
        if _module(frame).startswith("mystic_agent.link"):
            return True
        frame = frame.f_back
    return False


def _via(passed: list[FrameType], project: str) -> str:
    """Return the outermost of the frames that are neither the project's nor machinery that calls others' code."""
    for frame in reversed(passed):
        module = _module(frame)
        top = _top(module)
        if top != project and top != _OWN and top not in _MACHINERY:
            return cut(f"{module}:{frame.f_code.co_qualname}", LONGEST)
    return ""


def _module(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__")
    return name if type(name) is str else ""


def _top(name: str) -> str:
    return name.partition(":")[0].partition(".")[0]
