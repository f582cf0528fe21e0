"""The whole set of hijacks at one moment, and what a process of a service is sent of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mystic_agent.contract.hijack import Hijack

EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole set at one version.

    Attributes:
        off: the services that are switched off, ``*`` for all, each with when, by whom and why.
    """

    version: int
    hijacks: tuple[Hijack, ...]
    off: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def is_off(self, service: str) -> bool:
        """True when the processes of ``service`` (``*``: of every one) are to release everything."""
        return EVERYTHING in self.off or service in self.off

    def for_service(self, service: str, now: float) -> dict[str, Any]:
        """Return what a process of ``service`` is sent: ``{"version", "now", "off", "hijacks"}``.

        Args:
            now: Unix seconds, so that a lease ends on time by a clock that is wrong, and without us.
        """
        off = self.is_off(service)
        mine = [] if off else [one.to_json() for one in self.hijacks if one.applies_to(service)]
        return {"version": self.version, "now": now, "off": off, "hijacks": mine}
