"""Points of external calls → one record for each caller and peer. A record comes in several metrics."""

from __future__ import annotations

from collections.abc import Mapping

from mystic_agent.contract import wire

from mystic_collector.store.external_records import FIGURES, ExternalPoint

_LONGEST = {wire.FUNCTION: 1000, wire.EXTERNAL_VIA: 1000, wire.EXTERNAL_PEER: 300, wire.EXTERNAL_PROTOCOL: 50}
_FIGURE = dict(zip(wire.EXTERNAL, FIGURES, strict=True))


class Externals:
    """Collects the points of one resource in one request."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, ...], dict[str, int]] = {}

    def take(self, metric: str, texts: Mapping[str, str], time_ns: int, value: int) -> None:
        """Add one point; of a repeated one the higher value counts."""
        key = tuple(_plain(texts.get(name, ""))[:most] for name, most in _LONGEST.items())
        figures = self._found.setdefault(key, {})
        name = _FIGURE[metric]
        figures[name] = max(figures.get(name, 0), value)
        figures["time_ns"] = max(figures.get("time_ns", 0), time_ns)

    def points(self) -> list[ExternalPoint]:
        """Return the records."""
        return [
            ExternalPoint(function, via, peer, protocol, **figures)
            for (function, via, peer, protocol), figures in self._found.items()
        ]


def _plain(text: str) -> str:
    """Return what somebody else sent without control characters: it is shown to people and models."""
    return text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)
