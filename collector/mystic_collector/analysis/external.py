"""Which functions spend their time outside of their process, and which to replace when the outside is not to be asked.

Where a function of the project called out, that function is the one to mock: its result is the project's own, and can
be written down. Where only a library was on the stack, the library's function is what is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mystic_collector.store.external_records import ExternalRow

_NS = 1e-9
MOSTLY = 0.5
"""Share of a function's time above which it is called external."""

Totals = Mapping[tuple[str, str], tuple[int, int]]
"""(service, function) → (calls, nanoseconds in all)."""


def external(rows: Iterable[ExternalRow], totals: Totals, stage: str = "") -> list[dict[str, Any]]:
    """Return one row for each calling function, the one that waited longest first.

    Args:
        rows: what was kept.
        totals: what the functions did in all.
        stage: only processes of this stage; empty for all.

    Returns:
        ``function`` (empty when only a library was on the stack), ``service``, ``target`` (what to hijack to keep it
        from calling out), ``peers`` with their figures, sums, ``waited`` in seconds, ``share`` of the function's time
        spent waiting (None where its time is not known), ``mostly_external``.
    """
    grouped: dict[tuple[str, str], list[ExternalRow]] = {}
    for row in rows:
        if stage in ("", row.stage):
            grouped.setdefault((row.service, row.point.function or row.point.via), []).append(row)
    found = [_function(service, name, listed, totals) for (service, name), listed in grouped.items()]
    found.sort(key=lambda one: (-one["waited"], one["target"]))
    return found


def _function(service: str, name: str, rows: Sequence[ExternalRow], totals: Totals) -> dict[str, Any]:
    own = rows[0].point.function
    calls, spent = totals.get((service, own), (0, 0))
    waited = sum(row.point.waited_ns for row in rows)
    share = min(1.0, waited / spent) if spent else None
    return {
        "function": own,
        "service": service,
        "target": name,
        "stages": sorted({row.stage for row in rows}),
        "peers": sorted({row.point.peer for row in rows}),
        "protocols": sorted({row.point.protocol for row in rows if row.point.protocol}),
        "via": sorted({row.point.via for row in rows if row.point.via}),
        **_sums(rows),
        "call_count": calls,
        "share": share,
        "mostly_external": share is not None and share >= MOSTLY,
        "calls_out": [
            {"peer": row.point.peer, "protocol": row.point.protocol, "via": row.point.via, "stage": row.stage,
             "processes": row.processes, **_sums([row])}
            for row in sorted(rows, key=lambda row: -row.point.waited_ns)
        ],
    }  # fmt: skip


def _sums(rows: Sequence[ExternalRow]) -> dict[str, Any]:
    names = ("operations", "connections", "errors", "sent", "received")
    return {
        **{name: sum(getattr(row.point, name) for row in rows) for name in names},
        "waited": sum(row.point.waited_ns for row in rows) * _NS,
        "last_called": max(row.point.time_ns for row in rows) * _NS,
    }


def meant(name: str, found: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the targets that a function, a peer, a host or a protocol names; empty for none.

    Args:
        name: ``module:qualname`` or its end, ``host:port``, ``host``, a program, or ``http``; empty means everything.
        found: as :func:`external` returns it.
    """
    rows = list(found)
    exact = [one["target"] for one in rows if name in (one["target"], one["function"])]
    if exact:
        return list(dict.fromkeys(exact))
    ends = (f":{name}", f".{name}")
    named = [one["target"] for one in rows if one["target"].endswith(ends) or any(v.endswith(ends) for v in one["via"])]
    if named and name:
        return list(dict.fromkeys(named))
    return list(dict.fromkeys(one["target"] for one in rows if not name or _talks_to(name, one)))


def _talks_to(name: str, one: Mapping[str, Any]) -> bool:
    hosts = {peer.rpartition(":")[0] for peer in one["peers"]}
    return name in one["peers"] or name in hosts or name in one["protocols"] or name in one["via"]
