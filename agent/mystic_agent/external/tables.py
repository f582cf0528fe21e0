"""The kernel's tables of this network's TCP connections; see proc(5) and Documentation/networking/proc_net_tcp.rst."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mystic_agent.contract.named import NamedTuple

_LISTEN = "0A"


class Row(NamedTuple):
    """One socket.

    Attributes:
        family: 4 or 6.
        port: its own.
        remote: address and port of the other side, in hexadecimal words of the machine.
        listens: it waits for clients.
        inode: as descriptors name it.
    """

    family: int
    port: int
    remote: str
    listens: bool
    inode: str


def rows() -> Iterator[Row]:
    """Yield what is there now; nothing where the kernel has no such tables."""
    for table, family in (("tcp", 4), ("tcp6", 6)):
        try:
            with open(f"/proc/self/net/{table}", encoding="ascii") as file:
                lines = file.readlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, own, remote, state, _, _, _, _, _, inode, *_ = line.split()
            yield Row(family, int(own.rpartition(":")[2], 16), remote, state == _LISTEN, inode)


def served(found: Iterable[Row]) -> set[int]:
    """Return the ports that somebody listens at; connections that have one for their own came from the other side."""
    return {row.port for row in found if row.listens}
