"""What leaves the process is signed, and what comes in is looked at only when one of us has signed it.

The key is the agents' own: the collector never has it, so that whoever writes to its disk, or poses as it, can make an
agent neither run nor believe anything. The signature (HMAC-SHA256, RFC 2104) covers function, key and expiry as well:
an entry cannot be put in another's place, and cannot be made to live longer. Keys leave as keyed hashes, so that
arguments cannot be guessed from them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from mystic_agent.contract.codec import Unencodable, decode, encode
from mystic_agent.contract.named import NamedTuple
from mystic_agent.guard import FAULTS

LONGEST_BYTES = 2**20
_HEAD = struct.Struct(">4sdc")  # magic, expiry in Unix seconds, form
_MAGIC = b"myc1"
_SIGNATURE = 32
_CODEC, _PICKLE = b"j", b"p"


class Opened(NamedTuple):
    """A value that one of us has signed, and when it ends in Unix seconds."""

    value: Any
    expires: float


class Unsealable(Exception):
    """A value that cannot leave the process.

    Attributes:
        reason: short, of few distinct values.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Seal:
    """Signs and checks.

    Args:
        secret: the text of ``MYSTIC_CACHE_KEY``.
        place: what else must be the same for two processes to share, e.g. service and stage.
    """

    def __init__(self, secret: str, place: str) -> None:
        self._sign = self._derived(secret, b"sign")
        self._hide = self._derived(secret, b"hide")
        self._place = place.encode("utf-8", "surrogatepass")

    def __repr__(self) -> str:
        """Show nothing of the secret."""
        return "Seal()"

    @staticmethod
    def _derived(secret: str, purpose: bytes) -> bytes:
        from hmac import digest

        return digest(secret.encode(), b"mystic cache 1 " + purpose, "sha256")

    def key(self, function: str, code: str, portable: bytes) -> str:
        """Return the text under which an entry is kept; nothing of the arguments can be told from it."""
        digest = blake2b(key=self._hide, digest_size=32)
        for part in (self._place, function.encode("utf-8", "surrogatepass"), code.encode(), portable):
            digest.update(struct.pack(">I", len(part)) + part)
        return digest.hexdigest()

    def close(self, key: str, value: Any, expires: float) -> bytes:
        """Return ``value`` signed.

        Raises:
            Unsealable: when it cannot be written, or is too large.
        """
        form, body = _written(value)
        if len(body) > LONGEST_BYTES:
            raise Unsealable("shared scope: result of more than 1 MiB")
        head = _HEAD.pack(_MAGIC, expires, form)
        return head + self._signature(key, head, body) + body

    def open(self, key: str, data: bytes) -> Opened | None:
        """Return what was signed for ``key``; None when nobody with the secret has signed exactly this.

        Raises:
            Exception: whatever reading back a pickle of our own raises.
        """
        from hmac import compare_digest

        head, body = data[: _HEAD.size], data[_HEAD.size + _SIGNATURE :]
        if len(data) < _HEAD.size + _SIGNATURE or len(body) > LONGEST_BYTES or not head.startswith(_MAGIC):
            return None
        if not compare_digest(data[_HEAD.size : _HEAD.size + _SIGNATURE], self._signature(key, head, body)):
            return None
        _, expires, form = _HEAD.unpack(head)
        read = _FORMS.get(form)
        return Opened(read(body), expires) if read is not None else None

    def _signature(self, key: str, head: bytes, body: bytes) -> bytes:
        from hmac import digest

        return digest(self._sign, key.encode() + b"\0" + head + body, "sha256")


def _written(value: Any) -> tuple[bytes, bytes]:
    try:
        return _CODEC, encode(value, LONGEST_BYTES)
    except Unencodable:
        pass
    import pickle

    try:
        return _PICKLE, pickle.dumps(value, protocol=5)
    except FAULTS as error:  # a type of the application says how it is pickled
        raise Unsealable(f"shared scope: result of type {type(value).__qualname__} cannot be pickled"[:200]) from error


def _unpickled(data: bytes) -> Any:
    import pickle

    return pickle.loads(data)  # noqa: S301 -- only ever called on what open() has found to be signed by us


_FORMS: dict[bytes, Callable[[bytes], Any]] = {_CODEC: lambda data: decode(data, LONGEST_BYTES), _PICKLE: _unpickled}
