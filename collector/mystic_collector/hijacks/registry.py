"""The versioned set of hijacks: every change validated, audited and kept before agents are told."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.hijack import Hijack, parse_hijack

from mystic_collector.hijacks import versions
from mystic_collector.hijacks.conflict import Conflict
from mystic_collector.hijacks.journal import REFUSED, Entry, Journal
from mystic_collector.hijacks.policy import Forbidden, Policy, check_size
from mystic_collector.hijacks.snapshot import EVERYTHING, Snapshot
from mystic_collector.hijacks.versions import Bodies, Step


class Registry:
    """The hijacks in force, in a SQLite file of their own. Thread-safe.

    Args:
        path: the file; its folder is created.
        clock: Unix seconds.
        policy: what is let in. What is kept and no longer let in is removed, with a line in the audit.
        held_off: why everything is off for as long as this registry is open; empty: it is not.

    Attributes:
        unread: (id, reason) of hijacks in the file that this release cannot read; they stay there.

    Raises:
        StoreError: when the file cannot be opened or read.
    """

    def __init__(
        self, path: Path, clock: Callable[[], float] = time.time, policy: Policy | None = None, held_off: str = ""
    ) -> None:
        self.policy = policy or Policy()
        self._clock = clock
        self._held_off = held_off
        self._lock = threading.RLock()
        self._listeners: list[Callable[[], None]] = []
        self._journal = Journal(path)
        self._version = self._journal.version
        self._off = self._journal.switches()
        self._hijacks: dict[str, Hijack] = {}
        self.unread: list[tuple[str, str]] = []
        for identity, body in self._journal.hijacks():
            try:
                self._hijacks[identity] = parse_hijack(orjson.loads(body))
            except ValueError as error:
                self.unread.append((identity, str(error)))
        self._hijacks = dict(sorted(self._hijacks.items(), key=lambda pair: pair[1].created_at))
        self._forbid()

    # -- what there is ---------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Return the set of this moment."""
        with self._lock:
            return Snapshot(self._version, tuple(self._hijacks.values()), self.off())

    def digests(self, identity: str) -> Mapping[str, str]:
        """Return the digest of the source of each function of a hijack, from when it was put."""
        with self._lock:
            return self._journal.digests(identity)

    def off(self) -> Mapping[str, Mapping[str, Any]]:
        """Return which services are switched off (``*``: all), each with when, by whom and why; without waiting."""
        held = {EVERYTHING: {"actor": "environment", "reason": self._held_off}} if self._held_off else {}
        return {**self._off, **held}

    def next_expiry(self) -> float | None:
        """Return the earliest expiry in Unix seconds, or None."""
        moments = [one.expires_at for one in self.snapshot().hijacks if one.expires_at is not None]
        return min(moments, default=None)

    def audit(
        self, limit: int = 100, before: int = 0, hijack: str = "", actor: str = "", action: str = ""
    ) -> list[dict[str, Any]]:
        """Return changes and refused attempts, newest first, see :class:`~mystic_collector.hijacks.journal.Entry`.

        Args:
            before: only lines with a lower id; 0 for all.
            hijack, actor, action: only lines with that value.
        """
        given = {"id < ?": before, "hijack = ?": hijack, "actor = ?": actor, "action = ?": action}
        wanted = {condition: value for condition, value in given.items() if value}
        with self._lock:
            return self._journal.entries(" and ".join(wanted), tuple(wanted.values()), limit)

    def changes(self, before: int, limit: int, hijack: str = "") -> list[list[dict[str, Any]]]:
        """Return the lines of the audit by version, newest first, of versions below ``before``; refusals left out."""
        with self._lock:
            return self._journal.by_version(before, limit, hijack)

    def oldest(self) -> int:
        """Return the earliest version that is kept."""
        with self._lock:
            return self._journal.oldest()

    def at(self, version: int, field: str = "version") -> Bodies:
        """Return the hijacks in force at an earlier version.

        Raises:
            Invalid: when that version is not kept any more, or has not been yet.
        """
        with self._lock:
            oldest = self._journal.oldest()
            if not oldest <= version <= self._version:
                raise Invalid(field, version, f"give a version from {oldest} to {self._version}")
            return versions.rewound(self._bodies(), self._journal.since(version))

    # -- changes ---------------------------------------------------------------------------------------

    def listen(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call ``changed`` after every new version, from the thread that made it; return the undo."""
        with self._lock:
            self._listeners.append(changed)

        def undo() -> None:
            with self._lock:
                self._listeners.remove(changed)

        return undo

    def put(
        self,
        fields: Mapping[str, Any],
        identity: str = "",
        actor: str = "",
        seen: int | None = None,
        dry_run: bool = False,
    ) -> Hijack:
        """Add a hijack, or replace the one called ``identity``.

        Args:
            fields: see :meth:`~mystic_collector.hijacks.policy.Policy.read`.
            identity: of the hijack to replace; empty adds one.
            actor: who did it, for the audit; the owner when empty.
            seen: the version that the sender had seen; None when it does not matter.
            dry_run: only say what would be put; nothing is changed or audited.

        Raises:
            Invalid: naming the field that is wrong; the set is as before.
            Conflict: when the hijack has changed since ``seen``.
            KeyError: when there is no hijack ``identity``.
        """
        now = self._clock()
        hijack = self.policy.read(fields, identity or secrets.token_hex(6), now)
        actor = actor or hijack.owner
        self._permit(hijack, actor, now, dry_run)
        with self._lock:
            before = self._hijacks[identity] if identity else None
            if before is not None:
                self._check_seen(identity, seen)
                hijack = hijack._replace(created_at=before.created_at)
            check_size({**self._hijacks, hijack.id: hijack}.values())
            if dry_run:
                return hijack
            self._change("replace" if before else "add", [versions.step(before, hijack)], actor, now)
        self._tell()
        return hijack

    def renew(self, identity: str, expires_in: object = None, actor: str = "", seen: int | None = None) -> Hijack:
        """Let the lease of a hijack begin anew.

        Args:
            expires_in: how long from now on, or ``never``; None for the default.

        Raises:
            Invalid: when that is no duration.
            Forbidden: when the hijack may not be any more.
            Conflict, KeyError: as :meth:`put`.
        """
        now = self._clock()
        until = self.policy.default_expiry if expires_in is None else expires_in
        end = None if until is None else self.policy.end(until, now)
        with self._lock:
            before = self._hijacks[identity]
            self._check_seen(identity, seen)
            self._permit(before, actor, now)
            renewed = before._replace(expires_at=end)
            self._change("renew", [versions.step(before, renewed)], actor, now)
        self._tell()
        return renewed

    def remove(self, identity: str, actor: str = "", action: str = "remove", seen: int | None = None) -> Hijack:
        """Remove a hijack and return it.

        Raises:
            KeyError: when there is none called ``identity``.
            Conflict: when it has changed since ``seen``.
        """
        with self._lock:
            gone = self._hijacks[identity]
            self._check_seen(identity, seen)
            self._change(action, [versions.step(gone, None)], actor, self._clock())
        self._tell()
        return gone

    def undo(
        self, to: int | None = None, actor: str = "", seen: int | None = None, dry_run: bool = False
    ) -> tuple[int, list[Step], list[str]]:
        """Bring the set back to an earlier version, as a change of its own that can be undone as well.

        Args:
            to: the version; None for the one before the last change of a hijack.
            seen, dry_run: as of :meth:`put`; any later change of the set is a conflict.

        Returns:
            (version that was brought back, what changed by it, what was left out of it and why).

        Raises:
            Invalid: when nothing would change, or what is kept of that version is no longer valid.
            Forbidden: when that version had what may not be any more.
            Conflict: when the set has changed since ``seen``.
        """
        now = self._clock()
        with self._lock:
            if seen is not None and seen != self._version:
                raise Conflict(seen, self._version)
            if to is None:
                to = self._journal.last_change() - 1
            wanted, left_out = versions.alive(self.at(to, "to"), now)
            changes = versions.steps(self._bodies(), wanted)
            if not changes:
                why = f"nothing would change; {'; '.join(left_out)}" if left_out else "nothing would change"
                raise Invalid("to", to, f"{why}; 'mystic history' lists the versions")
            for step in changes:
                if step.after is not None:
                    self._permit(parse_hijack(step.after), actor, now, dry_run)
            check_size([parse_hijack(body) for body in wanted.values()])
            if not dry_run:
                self._change("undo", changes, actor, now, f"back to version {to}")
        if not dry_run:
            self._tell()
        return to, changes, left_out

    def expire(self) -> list[Hijack]:
        """Remove and return the leases that have run out."""
        now = self._clock()
        gone = []
        for one in self.snapshot().hijacks:
            if one.expired(now):
                try:
                    gone.append(self.remove(one.id, "lease", "expire"))
                except KeyError:
                    continue  # removed by somebody else meanwhile
        return gone

    def switch(self, off: bool, service: str = EVERYTHING, actor: str = "", reason: str = "") -> bool:
        """Switch a service, or everything, off or on; return False when it was so already.

        Raises:
            Invalid: when it cannot be switched on, because more than it is off.
        """
        now = self._clock()
        with self._lock:
            if not off and self._held_off:
                raise Invalid("off", self._held_off, "start the collector without it; it keeps everything off")
            if not off and service != EVERYTHING and EVERYTHING in self._off:
                raise Invalid("service", service, "everything is off; switch everything on")
            names = [service] if off or service != EVERYTHING else list(self._off)
            shown = {"at": now, "actor": actor, "reason": reason} if off else None
            concerned = [name for name in names if (name in self._off) != off]
            if not concerned:
                return False
            action, version = ("off" if off else "on"), self._version + 1
            entries = [Entry(now, version, action, name, actor, self._off.get(name), shown) for name in concerned]
            self._journal.switch([one._replace(note=reason) for one in entries], version)
            self._version = version
            # Replaced, not changed: health reads it without waiting.
            kept = {name: told for name, told in self._off.items() if name not in concerned}
            self._off = kept if shown is None else {**kept, **dict.fromkeys(concerned, shown)}
        self._tell()
        return True

    def note_digests(self, identity: str, digests: dict[str, str]) -> None:
        """Remember how the source of a hijack's functions looks now."""
        with self._lock:
            if identity in self._hijacks:
                self._journal.note_digests(identity, digests)

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._journal.close()

    # -- inside ----------------------------------------------------------------------------------------

    def _bodies(self) -> Bodies:
        return {key: versions.wire(one) for key, one in self._hijacks.items()}

    def _check_seen(self, identity: str, seen: int | None) -> None:
        """Refuse what was decided on an earlier state of the hijack."""
        if seen is None:
            return
        newest = self._journal.entries("hijack = ? and action != ?", (identity, REFUSED), 1)
        if seen > self._version or (newest and newest[0]["version"] > seen):
            raise Conflict(seen, self._version, self._hijacks[identity].to_json())

    def _permit(self, hijack: Hijack, actor: str, now: float, dry_run: bool = False) -> None:
        """Refuse what no hijack may be; the attempt is audited."""
        try:
            self.policy.check(hijack)
        except Forbidden as error:
            if not dry_run:
                with self._lock:
                    shown = hijack.to_json()
                    entry = Entry(now, self._version, REFUSED, hijack.id, actor, None, shown, error.remedy)
                    self._journal.refuse(entry)
            raise

    def _forbid(self) -> None:
        """Remove what the policy does not let in any more; the audit keeps it, and undo can bring it back."""
        for one in list(self._hijacks.values()):
            try:
                self.policy.check(one)
            except Forbidden as error:
                self._change("forbid", [versions.step(one, None)], "policy", self._clock(), error.remedy)

    def _change(self, action: str, changes: list[Step], actor: str, now: float, note: str = "") -> None:
        """Write changes as one version; memory follows only when the file has it."""
        version = self._version + 1
        self._journal.change(
            [Entry(now, version, action, one.hijack, actor, one.before, one.after, note) for one in changes], version
        )
        self._version = version
        for one in changes:
            if one.after is None:
                del self._hijacks[one.hijack]
            else:
                self._hijacks[one.hijack] = parse_hijack(one.after)
        # Older ones are outermost, also those that an undo has brought back.
        self._hijacks = dict(sorted(self._hijacks.items(), key=lambda pair: pair[1].created_at))

    def _tell(self) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for changed in listeners:
            changed()
