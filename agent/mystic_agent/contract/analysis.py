"""What analyzing agents tell about the calls of a function: accesses of a sample of its keys, packed.

Keys are sampled, not calls: every access of a key is told when its digest lies below a threshold, and none
otherwise (spatial sampling; Waldspurger et al., "Efficient MRC Construction with SHARDS", FAST '15). So a hit rate
can be told from a small sample. Digests are 64 bits of a keyed hash; values cannot be read back from them.
"""

from __future__ import annotations

import struct
import sys
from array import array
from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Sequence

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.named import NamedTuple

ANALYSIS_EVENT = "mystic.analysis"
"""One stretch of watching a function; its body is :func:`pack`'s text, its attributes are named below."""

REACH_EVENT = "mystic.reach"
"""What a function's code reaches; its body is a JSON list of ``[category, name, path]``."""

WHOLE = 2**64
"""The threshold below which every key is sampled."""

MOST_ACCESSES = 1500
"""In one event: less than 64 KiB of text, the longest body of an event."""

# Attributes of ANALYSIS_EVENT besides mystic.function.
SESSION = "mystic.analysis.session"  # text; one sampler of one process
SEQUENCE = "mystic.analysis.sequence"  # 0, 1, 2, …: a gap means that a stretch was lost
THRESHOLD = "mystic.analysis.threshold"  # hexadecimal; keys below it were sampled throughout the stretch
BEGIN = "mystic.analysis.begin"  # Unix nanoseconds
END = "mystic.analysis.end"
BASE = "mystic.analysis.base"  # Unix nanoseconds from which the packed accesses count
CALLS = "mystic.analysis.calls"  # calls that ended in the stretch, sampled or not
TOTAL = "mystic.analysis.total"  # nanoseconds that they took in all
KINDS = "mystic.analysis.kinds"  # JSON, see below
# {"unkeyable": {reason: calls}, "results": {reason: sampled calls}, "self": attributes that stood for it, or null}
IDENTITY = "mystic.analysis.identity"  # "" or the type of self, when keys tell instances apart by identity alone

REACH: dict[str, str] = {
    "context": "depends on a context or thread",
    "writes": "writes outside the process",
    "random": "uses chance",
    "time": "reads the time",
    "network": "uses the network",
    "database": "asks a database",
    "process": "starts or asks processes",
    "file": "uses files",
    "global": "changes a module's variable",
    "self": "changes its object",
    "object": "uses an object whose methods are not known",
    "environment": "reads the environment",
    "clock": "measures or waits",
    "logging": "logs",
    "recursion": "may call itself",
    "foreign": "calls code that was not looked into",
}
"""The categories of what code reaches, the gravest first, in words that follow a function's name."""

REFUSING = frozenset({"context", "writes"})
"""The categories that speak against every cache, whatever calls show."""

RESULT, MUTATED, FAILED = 1, 2, 4
"""Flags of an access: its result has a digest; it changed its arguments; it raised."""

_FIELDS = "QIfQIB"
_SIZE = struct.calcsize("<" + _FIELDS)


class Access(NamedTuple):
    """One call with a sampled key.

    Attributes:
        key: 64-bit digest of the arguments.
        start: seconds since the stretch's base.
        seconds: how long the call took.
        result: 64-bit digest of the result; 0 without the flag RESULT.
        size: estimated bytes that a cache would keep for it.
        flags: of RESULT, MUTATED and FAILED.
    """

    key: int
    start: float
    seconds: float
    result: int
    size: int
    flags: int


def pack(accesses: Sequence[Access]) -> str:
    """Return ``accesses`` as text: one array after the other, little-endian, in base64."""
    columns = (
        array("Q", [one.key for one in accesses]),
        array("I", [min(max(round(one.start * 1e6), 0), 2**32 - 1) for one in accesses]),
        array("f", [one.seconds for one in accesses]),
        array("Q", [one.result for one in accesses]),
        array("I", [min(one.size, 2**32 - 1) for one in accesses]),
        array("B", [one.flags for one in accesses]),
    )
    for column in columns if sys.byteorder == "big" else ():
        column.byteswap()
    return b2a_base64(b"".join(column.tobytes() for column in columns), newline=False).decode("ascii")


def unpack(text: str) -> list[Access]:
    """Return the accesses in ``text``.

    Raises:
        Invalid: when it is not what :func:`pack` makes, or holds more than MOST_ACCESSES.
    """
    if not isinstance(text, str) or len(text) > MOST_ACCESSES * _SIZE * 4 // 3 + 4:
        raise Invalid("body", text, f"give at most {MOST_ACCESSES} packed accesses")
    try:
        data = a2b_base64(text.encode("ascii"), strict_mode=True) if text else b""
    except (Error, UnicodeEncodeError) as error:
        raise Invalid("body", text, f"give base64 ({error})") from error
    count, rest = divmod(len(data), _SIZE)
    if rest:
        raise Invalid("body", text, f"give whole accesses of {_SIZE} bytes")
    columns, at = [], 0
    for code in _FIELDS:
        column = array(code)
        end = at + count * column.itemsize
        column.frombytes(data[at:end])
        if sys.byteorder == "big":
            column.byteswap()
        columns.append(column)
        at = end
    rows = zip(*columns, strict=True)
    found = [
        Access(key, start / 1e6, float(seconds), result, size, flags)
        for key, start, seconds, result, size, flags in rows
    ]
    for one in found:
        if not 0.0 <= one.seconds < 1e9:  # nan and infinity, too
            raise Invalid("body", one.seconds, "give durations in seconds")
    return found
