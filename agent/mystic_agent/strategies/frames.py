"""Where a call came from, and where inside it an exception was raised; bounded, and without running foreign code.

Our own frames are left out. Local variables are shown of the application's frames alone: those of the hijacked
function's own package, and of files outside of the interpreter's library and of installed packages.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

from mystic_agent.redact import Picture, describe, instance_dict
from mystic_agent.strategies import Subject
from mystic_agent.trampoline import MARK

MOST_LOOKED_AT = 1_000
"""Frames of one stack or traceback."""

MOST_CAUSES = 4
MOST_NOTES = 5
LONGEST_PATH = 200
_OURS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")
_LIBRARY = tuple(
    os.path.join(path, "") for key in ("stdlib", "platstdlib") if (path := sysconfig.get_paths().get(key, ""))
)
_INSTALLED = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))


class Frames:
    """Shows frames around and inside the calls of one function.

    Args:
        subject: the function.
        most: frames shown of one stack.
    """

    def __init__(self, subject: Subject, most: int) -> None:
        self._package = subject.name.partition(":")[0].partition(".")[0]
        self._most = most

    def caller(self, picture: Picture) -> list[dict[str, Any]]:
        """Return the frames that the running call came through, nearest first: ``function``, ``file`` and ``line``."""
        shown: list[dict[str, Any]] = []
        frame: FrameType | None = sys._getframe(1)
        for _ in range(MOST_LOOKED_AT):
            if frame is None or len(shown) >= self._most:
                break
            if not _ours(frame):
                shown.append(_place(frame, frame.f_lineno, picture))
            frame = frame.f_back
        return shown

    def exception(
        self, error: BaseException | None, picture: Picture, *, locals_: bool, depth: int = MOST_CAUSES
    ) -> dict[str, Any] | None:
        """Return an exception: ``type``, ``message``, ``notes``, ``frames`` (innermost last) and its ``cause``."""
        told = describe(error)
        if error is None or told is None:
            return None
        shown: dict[str, Any] = {"type": told[0], "message": picture.clean(told[1])}
        notes = _held(error, "__notes__")
        if type(notes) is list:
            shown["notes"] = [picture.clean(note) for note in notes[:MOST_NOTES] if type(note) is str]
        traceback = _TRACEBACK(error)
        shown["frames"] = [self._inside(frame, line, picture, locals_) for frame, line in self._of(traceback)]
        cause = _CAUSE(error) or (None if _SUPPRESSED(error) else _CONTEXT(error))
        if cause is not None and depth > 0:
            shown["cause"] = self.exception(cause, picture, locals_=locals_, depth=depth - 1)
        return shown

    def _of(self, traceback: TracebackType | None) -> list[tuple[FrameType, int]]:
        """Return the last frames of a traceback that are not ours."""
        found = [(one.tb_frame, one.tb_lineno) for one in _links(traceback) if not _ours(one.tb_frame)]
        return found[-self._most :] if self._most else []

    def _inside(self, frame: FrameType, line: int, picture: Picture, locals_: bool) -> dict[str, Any]:
        shown = _place(frame, line, picture)
        if locals_ and frame.f_locals is not frame.f_globals and self._of_application(frame):
            # Copied at once: another thread of the application may go on with a frame that is shared.
            held = tuple(dict(frame.f_locals).items())
            shown["locals"] = {
                name: picture.show(value, name) for name, value in held[: picture.items] if type(name) is str
            }
            if len(held) > picture.items:
                shown["locals"]["…"] = f"{len(held) - picture.items} more"
        return shown

    def _of_application(self, frame: FrameType) -> bool:
        module = frame.f_globals.get("__name__")
        if type(module) is str and module.partition(".")[0] == self._package:
            return True
        file = frame.f_code.co_filename
        if any(part in file for part in _INSTALLED):
            return False
        return not file.startswith(("<", *_LIBRARY))


def thread_name() -> str:
    """Return the name of the running thread; empty when ``threading`` does not know it."""
    from _thread import get_ident

    threading = sys.modules.get("threading")
    # current_thread() would make an entry for a thread that has none.
    name = _held(getattr(threading, "_active", {}).get(get_ident()), "_name")
    return name[:LONGEST_PATH] if type(name) is str else ""


def task_name() -> str:
    """Return the name of the running asyncio task; empty outside of one."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or asyncio._get_running_loop() is None:
        return ""
    task = asyncio.current_task()
    name = task.get_name() if type(task) is asyncio.Task else ""
    return name[:LONGEST_PATH] if type(name) is str else ""


_TRACEBACK = BaseException.__dict__["__traceback__"].__get__
_CAUSE = BaseException.__dict__["__cause__"].__get__
_CONTEXT = BaseException.__dict__["__context__"].__get__
_SUPPRESSED = BaseException.__dict__["__suppress_context__"].__get__


def _held(value: object, name: str) -> Any:
    """Return what an object itself holds under a name; nothing of its class runs."""
    return (instance_dict(value) or {}).get(name)


def _links(traceback: TracebackType | None) -> Iterator[TracebackType]:
    for _ in range(MOST_LOOKED_AT):
        if traceback is None:
            return
        yield traceback
        traceback = traceback.tb_next


def _ours(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return file.startswith((MARK, _OURS))


def _place(frame: FrameType, line: int, picture: Picture) -> dict[str, Any]:
    code = frame.f_code
    return {
        "function": picture.clean(code.co_qualname[-LONGEST_PATH:]),
        "file": picture.clean(code.co_filename[-LONGEST_PATH:]),
        "line": line,
    }
