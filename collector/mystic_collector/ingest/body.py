"""A request's body, bounded in bytes as sent, in bytes after decompression, and in time."""

from __future__ import annotations

import asyncio
import zlib

from starlette.requests import Request

from mystic_collector.otlp.refused import RefusedError

_GZIP = 16 + zlib.MAX_WBITS


async def read_body(request: Request, most_bytes: int, patience: float) -> bytes:
    """Return the body as sent.

    Raises:
        RefusedError: 413 when it is, or says it will be, larger than ``most_bytes``; 408 after ``patience`` seconds.
    """
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > most_bytes:
        raise RefusedError(413, f"the body has {declared} bytes, more than {most_bytes}; send smaller batches")
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(patience):
            async for chunk in request.stream():
                size += len(chunk)
                if size > most_bytes:
                    raise RefusedError(413, f"the body has more than {most_bytes} bytes; send smaller batches")
                chunks.append(chunk)
    except TimeoutError:
        raise RefusedError(408, f"the body did not arrive within {patience:g} s") from None
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def inflate(body: bytes, encoding: str, most_bytes: int) -> bytes:
    """Return ``body`` without its content encoding; never holds more than ``most_bytes``.

    Raises:
        RefusedError: 415 for an encoding other than gzip, 413 above ``most_bytes``, 400 when it is damaged.
    """
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise RefusedError(415, f"content-encoding {encoding[:40]!r} is not known; send gzip or none")
    parts: list[bytes] = []
    left = most_bytes
    try:
        while body:  # a gzip file may consist of several members
            member = zlib.decompressobj(_GZIP)
            part = member.decompress(body, left + 1)
            left -= len(part)
            if left < 0:
                raise RefusedError(413, f"the body has more than {most_bytes} bytes after decompression")
            if not member.eof:
                raise RefusedError(400, "the gzip stream is truncated")
            parts.append(part)
            body = member.unused_data
    except zlib.error as error:
        raise RefusedError(400, f"the gzip stream is damaged ({error})") from error
    return b"".join(parts)
