"""The set of hijacks of one version, in memory. Law: frozen; a change makes the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from mystic_agent.contract.hijack import Hijack, parse_hijack

from mystic_collector.hijacks import versions
from mystic_collector.hijacks.policy import Policy
from mystic_collector.hijacks.protocol import Journal
from mystic_collector.hijacks.versions import Bodies, Step


@dataclass(frozen=True, slots=True)
class Held:
    """What is in force.

    Attributes:
        hijacks: by id, oldest first: older ones are outermost, also those that an undo has brought back.
        off: the services that are switched off, each with when, by whom and why.
        unread: (id, reason) of hijacks that are kept and not in force here.
    """

    version: int
    hijacks: Mapping[str, Hijack]
    off: Mapping[str, Mapping[str, Any]]
    unread: list[tuple[str, str]] = field(default_factory=list)

    def changed(self, changes: Iterable[Step], version: int) -> Held:
        """Return what is in force after ``changes``."""
        state = dict(self.hijacks)
        for one in changes:
            if one.after is None:
                del state[one.hijack]
            else:
                state[one.hijack] = parse_hijack(one.after)
        return replace(self, version=version, hijacks=_ordered(state))

    def switched(self, names: Iterable[str], told: Mapping[str, Any] | None, version: int) -> Held:
        """Return what is in force after ``names`` were switched off as told, or on."""
        names = list(names)
        kept = {name: known for name, known in self.off.items() if name not in names}
        return replace(self, version=version, off={**kept, **dict.fromkeys(names, told)} if told is not None else kept)

    def bodies(self) -> Bodies:
        """Return the hijacks in their wire form."""
        return {key: versions.wire(one) for key, one in self.hijacks.items()}


def held(journal: Journal, policy: Policy | None = None) -> Held:
    """Return what a journal keeps; what cannot be read is left out with the reason, and what ``policy`` refuses."""
    found, unread = {}, []
    for identity, body in journal.hijacks():
        try:
            hijack = parse_hijack(orjson.loads(body))
            if policy is not None:
                policy.check(hijack)
        except ValueError as error:
            unread.append((identity, str(error)))
        else:
            found[identity] = hijack
    return Held(journal.version, _ordered(found), journal.switches(), unread)


def _ordered(hijacks: dict[str, Hijack]) -> dict[str, Hijack]:
    return dict(sorted(hijacks.items(), key=lambda pair: pair[1].created_at))
