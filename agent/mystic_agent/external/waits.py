"""Threads that wait on sockets inside C code: what libpq and its like do, seen by looking now and then.

Python's own sockets are followed exactly (``sockets``). A C library opens its own; all that shows is where its thread
stands. So at each collection every thread that is inside a function of the project is looked at once: when the kernel
says that it waits on a connection that this process has opened, the time since the last look is booked on the function.
That is a sample, right on average and rough for few looks. It costs two or three small files of ``/proc`` for each
thread that waits, on a thread of ours; other systems than Linux on x86-64 and AArch64 go without.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident
from collections.abc import Callable, Container
from struct import unpack

from mystic_agent.external.caller import caller
from mystic_agent.external.ledger import WAITED, Ledger
from mystic_agent.external.peer import PORTS, peer
from mystic_agent.external.tables import rows, served

MOST_THREADS = 100
MOST_PEERS = 512
LONGEST_SECONDS = 10.0
_READING = {"x86_64": ("0", "1", "44", "45", "46", "47"), "aarch64": ("63", "64", "206", "207", "211", "212")}
"""Numbers of read, write, sendto, recvfrom, sendmsg, recvmsg: their first argument is the descriptor."""

_POLLING = {"x86_64": ("7", "271"), "aarch64": ("73",)}
"""Numbers of poll and ppoll: their first argument points to an array that begins with the descriptor."""

_EPOLL = {"x86_64": ("232", "281"), "aarch64": ("22",)}
"""Numbers of epoll_wait and epoll_pwait: their first argument is a descriptor that stands for others."""

_SELECT = {"x86_64": ("23", "270"), "aarch64": ("72",)}
"""Numbers of select and pselect6: how many descriptors, and pointers to the bits of those to read and to write."""

_MOST_SELECTED = 1024


class Waits:
    """What the threads of one process wait for inside C code.

    Args:
        ledger: where sums are kept.
        project: true of the names of functions that are the project's own.
        threads: identities of the agent's own threads.
        followed: true of descriptors that are followed exactly.
    """

    def __init__(
        self,
        ledger: Ledger,
        project: Callable[[str], bool],
        threads: Container[int],
        followed: Callable[[int], bool],
    ) -> None:
        self._ledger = ledger
        self._project = project
        self._threads = threads
        self._followed = followed
        self._peers: dict[str, str] = {}
        machine = os.uname().machine
        self._reading, self._polling = _READING.get(machine, ()), _POLLING.get(machine, ())
        self._epoll, self._select = _EPOLL.get(machine, ()), _SELECT.get(machine, ())

    def look(self, seconds: float) -> None:
        """Look at every thread once; ``seconds`` have gone by since the last time."""
        threading = sys.modules.get("threading")
        if threading is None or not self._reading:
            return
        if "uwsgi" in sys.modules:
            return  # it forks past Python: workers inherit states of threads that are gone; to look at those crashes
        frames = sys._current_frames()
        natives = {one.ident: one.native_id for one in threading.enumerate()}
        natives[threading.main_thread().ident] = os.getpid()  # a forked child's is said to be its parent's
        inside = [
            (who, native)
            for ident, frame in list(frames.items())[:MOST_THREADS]
            if ident != get_ident() and ident not in self._threads and (native := natives.get(ident)) is not None
            if (who := caller(frame, self._project)).function
        ]
        del frames  # they would keep alive what their functions hold
        for who, native in inside:
            name = self._waits_for(native)
            if name:
                port = int(name.rpartition(":")[2])
                cells = self._ledger.cells(who, name, PORTS.get(port, ""))
                cells[WAITED] += int(min(seconds, LONGEST_SECONDS) * 1e9)

    def _waits_for(self, native: int) -> str:
        """Return the peer that a thread waits for, or an empty text."""
        try:
            with open(f"/proc/self/task/{native}/syscall", encoding="ascii") as file:
                number, *arguments = file.read().split()
            descriptor = self._descriptor(number, [int(one, 16) for one in arguments])
            if descriptor < 0 or self._followed(descriptor):
                return ""
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except (OSError, ValueError, IndexError):
            return ""  # it runs again, has ended, or may not be looked at
        return self._peer(target[8:-1]) if target.startswith("socket:[") else ""

    def _descriptor(self, number: str, arguments: list[int]) -> int:
        """Return the one descriptor that a system call waits for; -1 for none, and for several: then it is a loop."""
        if number in self._reading:
            return arguments[0]
        if number in self._polling and arguments[1] == 1:
            return int(unpack("=i", _memory(arguments[0], 4))[0])
        if number in self._epoll:
            with open(f"/proc/self/fdinfo/{arguments[0]}", encoding="ascii") as file:
                watched = [line.split()[1] for line in file if line.startswith("tfd:")]
            return int(watched[0]) if len(watched) == 1 else -1
        if number in self._select:
            count = min(arguments[0], _MOST_SELECTED) // 64 * 8 + 8
            sets = [int.from_bytes(_memory(one, count), "little") for one in arguments[1:3] if one]
            wanted = sets[0] | sets[-1] if sets else 0
            return wanted.bit_length() - 1 if wanted.bit_count() == 1 else -1
        return -1

    def _peer(self, inode: str) -> str:
        """Return whom a socket talks to; empty when it is none of TCP, or was opened by the other side."""
        known = self._peers.get(inode)
        if known is None:
            if len(self._peers) >= MOST_PEERS:
                self._peers.clear()
            known = self._peers[inode] = _opened(inode)
        return known


def _memory(address: int, count: int) -> bytes:
    """Return bytes at an address of this process."""
    memory = os.open("/proc/self/mem", os.O_RDONLY)
    try:
        return os.pread(memory, count, address)
    finally:
        os.close(memory)


def _opened(inode: str) -> str:
    """Find a connection in the kernel's tables; one whose own port is listened at was opened by the other side."""
    found = list(rows())
    for row in found:
        if row.inode == inode:
            return "" if row.port in served(found) else _address(row.remote, row.family)
    return ""


def _address(text: str, family: int) -> str:
    """Return ``host:port`` of an address as the kernel's tables have it: hexadecimal, in words of the machine."""
    from socket import AF_INET, AF_INET6, inet_ntop

    words, _, port = text.rpartition(":")
    data = b"".join(bytes.fromhex(words[at : at + 8])[::-1] for at in range(0, len(words), 8))
    host = inet_ntop(AF_INET if family == 4 else AF_INET6, data)
    return peer((host.removeprefix("::ffff:"), int(port, 16)), {})[0]
