"""Shared entries of a fleet, on its Redis or Valkey server: it ends their time to live, we bound their size."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from mystic_collector.cache.entries import Entry, Kept, Name
from mystic_collector.rendezvous import Rendezvous

_JOINT = "\x00"
_BESIDE = 200
"""Bytes that an entry takes beside its value and its name, about."""

# The order in which entries were stored and their sizes lie beside them. What has expired is counted until it is the
# oldest: the size is never underestimated.
_PUT = """
local prefix, order, sizes, numbers = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local name, value, ttl, limit = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if ttl > 0 then redis.call('SET', prefix .. name, value, 'PX', ttl) else redis.call('SET', prefix .. name, value) end
local size = #name + #value + tonumber(ARGV[5])
local old = tonumber(redis.call('HGET', sizes, name) or '0')
redis.call('HSET', sizes, name, size)
redis.call('ZADD', order, redis.call('HINCRBY', numbers, 'stored', 1), name)
local total = redis.call('HINCRBY', numbers, 'bytes', size - old)
while total > limit do
  local first = redis.call('ZPOPMIN', order)[1]
  if not first then break end
  total = redis.call('HINCRBY', numbers, 'bytes', 0 - tonumber(redis.call('HGET', sizes, first) or '0'))
  redis.call('HDEL', sizes, first)
  redis.call('DEL', prefix .. first)
end
return total
"""
_DELETE = """
local prefix, order, sizes, numbers = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
redis.call('HINCRBY', numbers, 'bytes', 0 - tonumber(redis.call('HGET', sizes, ARGV[1]) or '0'))
redis.call('HDEL', sizes, ARGV[1])
redis.call('ZREM', order, ARGV[1])
return redis.call('DEL', prefix .. ARGV[1])
"""


class ServerEntries:
    """Shared entries of all collectors of a fleet.

    Args:
        server: where they are.
        max_bytes: size they may take together, names included.
        clock: Unix seconds.

    Every method raises StoreError while the server is away.
    """

    dropped = 0
    """Bytes are all that the server gives; nothing in it can be in another form."""

    def __init__(self, server: Rendezvous, max_bytes: int, clock: Callable[[], float] = time.time) -> None:
        self._server, self._max_bytes, self._clock = server, max_bytes, clock
        self._prefix = server.key("cache:")
        self._keys = [self._prefix, *(server.key(f"cached:{name}") for name in ("order", "sizes", "numbers"))]

    def get(self, function: str, key: str) -> Entry | None:
        """Return what is kept and has not expired, or None."""
        name = self._prefix + function + _JOINT + key

        def read(client: Any) -> list[Any]:
            with client.pipeline() as asked:
                asked.get(name)
                asked.pttl(name)
                answers: list[Any] = asked.execute()
                return answers

        value, left = self._server.ask(read)
        if value is None:
            return None
        return Entry(value, self._clock() + left / 1000 if left >= 0 else None)

    def find(self, names: Sequence[Name], most_bytes: int) -> list[bytes]:
        """Return the value of each, in two round trips: what fits is known before it is fetched."""
        keys = [self._prefix + function + _JOINT + key for function, key in names]

        def read(client: Any) -> list[bytes]:
            with client.pipeline(transaction=False) as asked:
                for key in keys:
                    asked.strlen(key)
                sizes = asked.execute()
            left, wanted = most_bytes, []
            for key, size in zip(keys, sizes, strict=True):
                if 0 < size <= left:
                    left -= size
                    wanted.append(key)
            values = dict(zip(wanted, client.mget(wanted), strict=True)) if wanted else {}
            return [values.get(key) or b"" for key in keys]

        return self._server.ask(read) if keys else []

    def put(self, function: str, key: str, value: bytes, ttl: float | None) -> None:
        """Keep ``value`` for ``ttl`` seconds, or until there is no room.

        Raises:
            ValueError: when it is larger than the whole cache may be.
        """
        if len(value) > self._max_bytes // 2:
            raise ValueError(f"{len(value)} bytes are more than half of the {self._max_bytes} bytes there are")
        self.keep([Kept(function, key, value, ttl)])

    def keep(self, entries: Sequence[Kept]) -> None:
        """Keep many in one round trip; those that are too large are left out."""
        fitting = [one for one in entries if len(one.value) <= self._max_bytes // 2]

        def write(client: Any) -> None:
            put = client.register_script(_PUT)
            with client.pipeline(transaction=False) as asked:
                for function, key, value, ttl in fitting:
                    ends = 0 if ttl is None else max(1, int(ttl * 1000))
                    given = (function + _JOINT + key, value, ends, self._max_bytes, _BESIDE)
                    put(keys=self._keys, args=given, client=asked)
                asked.execute()

        if fitting:
            self._server.ask(write)

    def delete(self, function: str, key: str) -> bool:
        """Forget one entry; True when there was one."""
        name = function + _JOINT + key
        return bool(self._server.ask(lambda client: client.eval(_DELETE, len(self._keys), *self._keys, name)))

    def count(self) -> int:
        """Return how many entries are kept; what has expired counts until it is the oldest."""
        return int(self._server.ask(lambda client: client.zcard(self._keys[1])))

    def close(self) -> None:
        """Nothing is open here: the server belongs to who gave it."""
