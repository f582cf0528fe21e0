"""What functions did outside of their process; frozen values without behaviour."""

from __future__ import annotations

from typing import NamedTuple


class ExternalPoint(NamedTuple):
    """What one function did with one peer since the start of its process.

    Attributes:
        function: ``module:qualname`` of the project's function that called out; empty when none was on the stack.
        via: ``module:qualname`` of the library function that it called; empty when it called out by itself.
        peer: ``host:port``, ``unix:/path``, or the program's name.
        protocol: a guess such as ``http``, ``redis``, ``subprocess``.
        time_ns: Unix nanoseconds.
        operations: requests, or processes started.
        connections: opened.
        errors: operations of the socket that failed.
        sent, received: bytes.
        waited_ns: nanoseconds spent waiting.
    """

    function: str
    via: str
    peer: str
    protocol: str
    time_ns: int
    operations: int = 0
    connections: int = 0
    errors: int = 0
    sent: int = 0
    received: int = 0
    waited_ns: int = 0


FIGURES = ExternalPoint._fields[5:]


class ExternalRow(NamedTuple):
    """The sum over all processes of one service and stage that are remembered; see ExternalPoint.

    Attributes:
        processes: how many.
    """

    service: str
    stage: str
    processes: int
    point: ExternalPoint
