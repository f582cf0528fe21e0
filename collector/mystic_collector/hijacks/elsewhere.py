"""The processes at the other collectors of a fleet: told by each, kept by the server for as long as it goes on telling.

Law: a collector tells of what is new, and that it lives; who does not for ``LEASE`` is gone with all its processes.
What another has told is validated like an agent's report.
"""

from __future__ import annotations

import secrets
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import orjson
from mystic_agent.contract.report import Report, parse_report

from mystic_collector.hijacks.process import Process
from mystic_collector.rendezvous import Rendezvous

LEASE = 12.0
"""Seconds after which what a collector has told is forgotten when it says no more."""

BEAT = 3.0
"""Seconds between two signs of life."""

MOST_COLLECTORS = 2_000
MOST_PROCESSES = 10_000
"""At one other collector."""

MOST_FUNCTIONS = 20_000
"""Of one process, told in full; of a larger one those that something is amiss or in force with."""

MOST_BYTES = 32 * 2**20
"""Of what is told of one process, once it is decompressed."""

_AT_ONCE = 100
_PLAIN = ("attached", "counting")


@dataclass(slots=True)
class Told:
    """What one process is, as its own collector keeps it.

    Attributes:
        revision: grows with every change.
        report: complete; None when the revision was known already.
    """

    revision: int
    report: Report | None
    connected: bool
    seen: float


Own = Callable[[Mapping[str, int]], Mapping[str, Told]]
"""Revisions that are known, by instance → every process that lives here."""


@dataclass(slots=True)
class _Other:
    """One other collector, as far as it is known."""

    name: str
    sequence: int = -1
    marks: dict[bytes, bytes] = field(default_factory=dict)
    processes: dict[bytes, Process] = field(default_factory=dict)


class Elsewhere:
    """What the other collectors tell, and what this one tells them.

    Args:
        server: where.
        own: the processes of this collector.
        clock: monotonic seconds.
    """

    def __init__(self, server: Rendezvous, own: Own, clock: Callable[[], float] = time.monotonic) -> None:
        self._server, self._own, self._clock = server, own, clock
        self.identity, self.name = secrets.token_hex(6), server.meeting.name
        self._known: dict[str, int] = {}
        self._sequence, self._beaten, self._count = 0, -BEAT, 0
        self._others: dict[str, _Other] = {}
        self._lock = threading.Lock()
        self._processes: tuple[Process, ...] = ()
        self.changes = 0

    def processes(self) -> Sequence[Process]:
        """Return the processes at other collectors; without waiting."""
        return self._processes

    def collectors(self) -> list[dict[str, Any]]:
        """Return the collectors of the fleet, this one first: ``name``, ``processes``, ``here``."""
        with self._lock:
            others = sorted(((one.name, len(one.processes)) for one in self._others.values()), key=lambda pair: pair[0])
        rows = [(self.name, self._count, True), *((name, count, False) for name, count in others)]
        return [{"name": name, "processes": count, "here": here} for name, count, here in rows]

    def identities(self) -> list[str]:
        """Return what the server calls the other collectors."""
        with self._lock:
            return list(self._others)

    # -- told --------------------------------------------------------------------------------------------

    def tell(self) -> None:
        """Tell the others what is new here, or that we live when it is time.

        Raises:
            StoreError: when the server is away; everything is told anew later.
        """
        found = self._own(self._known)
        new = {instance: one for instance, one in found.items() if one.report is not None}
        gone = [instance for instance in self._known if instance not in found]
        self._count, now = len(found), self._clock()
        if not new and not gone and now - self._beaten < BEAT:
            return
        if new or gone:
            self._sequence += 1
        marks, bodies, mine = self._key("marks"), self._key("processes"), self._key("collector")
        sign = orjson.dumps({"name": self.name, "sequence": self._sequence})

        def write(client: Any) -> list[Any]:
            with client.pipeline() as asked:
                if gone:
                    asked.hdel(bodies, *gone)
                    asked.hdel(marks, *gone)
                for instance, one in new.items():
                    asked.hset(bodies, instance, packed(one))
                    asked.hset(marks, instance, f"{self.identity}-{one.revision}")
                asked.set(mine, sign, px=int(LEASE * 1000))
                asked.sadd(self._server.key("collectors"), self.identity)
                if new or gone:
                    asked.publish(self._server.key("news"), "processes")
                asked.pexpire(marks, int(LEASE * 1000))
                asked.pexpire(bodies, int(LEASE * 1000))
                answers: list[Any] = asked.execute()
                return answers

        self._known = {}  # when it fails, everything is told anew
        kept = self._server.ask(write)[-1]
        if found and not kept:
            return  # the server has lost it
        self._beaten = now
        self._known = {instance: one.revision for instance, one in found.items()}

    def leave(self) -> None:
        """Take back what was told, so that nobody waits for the lease to end.

        Raises:
            StoreError: when the server is away.
        """
        names = [self._key(name) for name in ("marks", "processes", "collector")]

        def write(client: Any) -> None:
            with client.pipeline() as asked:
                asked.delete(*names)
                asked.srem(self._server.key("collectors"), self.identity)
                asked.publish(self._server.key("news"), "processes")
                asked.execute()

        self._server.ask(write)

    # -- heard -------------------------------------------------------------------------------------------

    def look(self) -> bool:
        """Take in what the others have told; True when something is new.

        Raises:
            StoreError: when the server is away; what was known stays.
        """
        alive = self._server.ask(self._alive)
        changed = self._forget(alive)
        for identity, sign in alive.items():
            other = self._others.get(identity) or _Other(sign["name"])
            if other.sequence != sign["sequence"]:
                self._refresh(identity, other)
                other.sequence = sign["sequence"]
                with self._lock:
                    self._others[identity] = other
                changed = True
        if changed:
            self._gather()
            self.changes += 1
        return changed

    def _alive(self, client: Any) -> dict[str, dict[str, Any]]:
        names = [one.decode(errors="replace") for one in client.smembers(self._server.key("collectors"))]
        names = [one for one in sorted(names)[:MOST_COLLECTORS] if one != self.identity]
        signs = client.mget([self._key("collector", one) for one in names]) if names else []
        found = {identity: _sign(sign) for identity, sign in zip(names, signs, strict=True)}
        gone = [identity for identity, sign in found.items() if sign is None]
        if gone:
            client.srem(self._server.key("collectors"), *gone)
        return {identity: sign for identity, sign in found.items() if sign is not None}

    def _forget(self, alive: Mapping[str, object]) -> bool:
        with self._lock:
            gone = [identity for identity in self._others if identity not in alive]
            for identity in gone:
                del self._others[identity]
        return bool(gone)

    def _refresh(self, identity: str, other: _Other) -> None:
        """Fetch what has changed at one other collector."""
        marks: dict[bytes, bytes] = self._server.ask(lambda client: client.hgetall(self._key("marks", identity)))
        marks = dict(islice(marks.items(), MOST_PROCESSES))
        wanted = [instance for instance, mark in marks.items() if other.marks.get(instance) != mark]
        bodies = self._key("processes", identity)
        processes = {instance: one for instance, one in other.processes.items() if instance in marks}
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            for instance, body in zip(part, self._fetch(bodies, part), strict=True):
                process = unpacked(body, other.name) if body is not None else None
                if process is not None:
                    processes[instance] = process
        other.marks, other.processes = marks, processes

    def _fetch(self, name: str, fields: list[bytes]) -> list[bytes | None]:
        found: list[bytes | None] = self._server.ask(lambda client: client.hmget(name, fields))
        return found

    def _gather(self) -> None:
        newest: dict[str, Process] = {}
        with self._lock:
            for other in self._others.values():
                for one in other.processes.values():
                    if one.instance not in newest or newest[one.instance].seen < one.seen:
                        newest[one.instance] = one
        self._processes = tuple(newest.values())

    def _key(self, name: str, identity: str = "") -> str:
        return self._server.key(f"{name}:{identity or self.identity}")


def packed(one: Told) -> bytes:
    """Return what is told of a process."""
    report = one.report
    assert report is not None  # noqa: S101 - tells the type checker
    functions = report.functions
    if len(functions) > MOST_FUNCTIONS:
        functions = tuple(each for each in functions if each.hijacks or each.state not in _PLAIN)[:MOST_FUNCTIONS]
    body = report._replace(functions=functions, complete=True).to_json()
    return zlib.compress(orjson.dumps({**body, "connected": one.connected, "seen": one.seen}, default=str), 1)


def unpacked(data: bytes, collector: str) -> Process | None:
    """Return a process of another collector; None when what is told of it is not in our form."""
    reader = zlib.decompressobj()
    try:
        value = orjson.loads(reader.decompress(data, MOST_BYTES))
        report = parse_report(value)
        seen = float(value.get("seen", 0.0))
    except (zlib.error, ValueError, TypeError, AttributeError):
        return None
    return Process(
        instance=report.instance,
        service=report.service,
        stage=report.stage,
        pid=report.pid,
        version=report.version,
        functions={one.function: one for one in report.functions},
        status=report.status,
        streams=int(value.get("connected") is True),
        seen=seen,
        reported=True,
        collector=collector,
    )


def _sign(data: bytes | None) -> dict[str, Any] | None:
    """Return a collector's sign of life, or None when there is none that we could have written."""
    try:
        value = orjson.loads(data or b"")
    except ValueError:
        return None
    right = isinstance(value, dict) and isinstance(value.get("name"), str) and isinstance(value.get("sequence"), int)
    return value if right and value["name"].isprintable() and len(value["name"]) <= 100 else None
