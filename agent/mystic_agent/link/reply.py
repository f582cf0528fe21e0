"""What a server answers over HTTP/1.1: head, framing and chunks, read strictly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum

from mystic_agent.contract.named import NamedTuple

MOST_HEADERS = 100
_MOST_CHUNK_LINE = 1024
_ENDLESS = 2**62


class BadReply(ValueError):
    """What the server sent is not HTTP/1.1 within the bounds; the connection is of no more use."""


class Framing(Enum):
    """How the end of a body is known."""

    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


class Head(NamedTuple):
    """Status line and headers of one reply.

    Attributes:
        status: 100 to 599.
        headers: names in lower case; of a repeated header the last.
        framing: how its body ends.
        length: bytes of the body; beyond any bound unless framing is LENGTH.
        reusable: whether another request may follow on the connection.
    """

    status: int
    headers: Mapping[str, str]
    framing: Framing
    length: int
    reusable: bool

    @property
    def retry_after(self) -> float | None:
        """Seconds the server asks to wait, or None; a date is not read, the own back-off does as well."""
        text = self.headers.get("retry-after", "")
        return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def read_head(raw: bytes) -> Head:
    """Read status line and headers, without the empty line that ends them.

    Raises:
        BadReply: when it is not a head of HTTP/1.0 or 1.1.
    """
    first, *lines = raw.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    status = rest[:3]
    if (
        version not in ("HTTP/1.1", "HTTP/1.0")
        or not (status.isascii() and status.isdigit())
        or len(lines) > MOST_HEADERS
    ):
        raise BadReply("the server does not speak HTTP/1.1")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadReply("the server sent a header without a colon")
        headers[name.strip().lower()] = value.strip()
    framing, length = _framing(int(status), headers)
    keeps = version == "HTTP/1.1" and "close" not in headers.get("connection", "").lower()
    return Head(int(status), headers, framing, length, keeps and framing is not Framing.CLOSE)


def _framing(status: int, headers: Mapping[str, str]) -> tuple[Framing, int]:
    if status < 200 or status in (204, 304):
        return Framing.LENGTH, 0
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return Framing.CHUNKED, _ENDLESS
    text = headers.get("content-length")
    if text is None:
        return Framing.CLOSE, _ENDLESS
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise BadReply("the server sent a Content-Length that is no number")
    return Framing.LENGTH, int(text)


def unchunk(raw: Iterator[bytes]) -> Iterator[bytes]:
    """Yield what the chunks of ``raw`` hold, as it comes, up to and including the trailer's end.

    Raises:
        BadReply: when it is not chunked, or ends early.
    """
    buffer = bytearray()
    while True:
        size = _chunk_size(_line(buffer, raw))
        if size == 0:
            while _line(buffer, raw):
                pass
            return
        while size > 0:
            if not buffer:
                buffer += _more(raw)
            piece = bytes(buffer[:size])
            del buffer[:size]
            size -= len(piece)
            yield piece
        if _line(buffer, raw):
            raise BadReply("the server sent a chunk longer than it said")


def _line(buffer: bytearray, raw: Iterator[bytes]) -> bytes:
    while (end := buffer.find(b"\r\n")) < 0:
        if len(buffer) > _MOST_CHUNK_LINE:
            raise BadReply("the server sent a chunk without a length")
        buffer += _more(raw)
    line = bytes(buffer[:end])
    del buffer[: end + 2]
    return line


def _more(raw: Iterator[bytes]) -> bytes:
    piece = next(raw, b"")
    if not piece:
        raise BadReply("the server ended within a chunk")
    return piece


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if not digits or len(digits) > 15 or digits.strip(b"0123456789abcdefABCDEF"):
        raise BadReply("the server sent a chunk without a length")
    return int(digits, 16)
