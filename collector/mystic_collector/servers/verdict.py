"""What the state of a server's process means, whatever runs it; pure."""

from __future__ import annotations

from typing import NamedTuple

from mystic_collector.servers.server import State
from mystic_collector.servers.spec import ServerSpec

_KILLED = 128 + 9
_ENDED_BY_US = (128 + 15, 128 + 2)
_PROGRAM = (126, 127)
_CODES = {
    126: "its program may not be executed",
    127: "its program was not found in the image",
    134: "it aborted (SIGABRT)",
    _KILLED: "it was killed from outside",
    139: "it crashed (SIGSEGV)",
}


class Verdict(NamedTuple):
    """What a state means; the fields are those of :class:`~mystic_collector.servers.server.Server`."""

    state: State
    detail: str = ""
    remedy: str = ""
    cause: str = ""


def out_of_memory(spec: ServerSpec) -> Verdict:
    """Return what it means that the kernel ended it."""
    detail = f"out of memory: it needed more than {spec.limits.memory / 2**20:.0f} MiB"
    return Verdict("failed", detail, "raise limits.memory, or give it less to do", "memory")


def deaf(spec: ServerSpec) -> Verdict:
    """Return what it means that it has not listened for as long as it may take."""
    detail = f"it did not listen on port {spec.port} within {spec.timeout:g} s"
    remedy = "read its logs; check port and transport, let it listen on 0.0.0.0, or raise timeout"
    return Verdict("failed", detail, remedy, "port")


def not_begun(why: str) -> Verdict:
    """Return what it means that its program could not be started."""
    text = " ".join(why.split())[:300]
    return Verdict("failed", f"it could not be started: {text}", "choose another image or command", "program")


def exited(code: int, last_words: str = "") -> Verdict:
    """Return what the exit code of its process means."""
    if code == 0:
        return Verdict("stopped", "it has ended by itself", "restart it")
    if code in _ENDED_BY_US:
        return Verdict("stopped", "it was asked to end", "restart it")
    detail = _CODES.get(code, f"it ended with exit code {code}") + (f": {last_words}" if last_words else "")
    cause = "killed" if code == _KILLED else "program" if code in _PROGRAM else "exit"
    return Verdict("failed", detail, "read its logs", cause)
