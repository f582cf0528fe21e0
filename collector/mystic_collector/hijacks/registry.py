"""The versioned set of hijacks: every change validated, audited and kept before agents are told."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.hijack import Hijack, parse_hijack

from mystic_collector.hijacks import versions
from mystic_collector.hijacks.conflict import Conflict
from mystic_collector.hijacks.held import Held, held
from mystic_collector.hijacks.journal import REFUSED, Entry, FileJournal
from mystic_collector.hijacks.policy import Forbidden, Policy, check_size
from mystic_collector.hijacks.protocol import Behind, Journal
from mystic_collector.hijacks.reading import Reading
from mystic_collector.hijacks.snapshot import EVERYTHING, Snapshot
from mystic_collector.hijacks.versions import Step
from mystic_collector.store.protocol import StoreError

MOST_ATTEMPTS = 200
"""Of one change, when others change the set at the same moment."""

_Made = TypeVar("_Made")


class Registry(Reading):
    """The hijacks in force. Thread-safe; what is in force now is told without waiting.

    Args:
        kept: what keeps them, or the path of a SQLite file of their own.
        clock: Unix seconds.
        policy: what is let in. What is kept and no longer let in is removed, with a line in the audit; where others
            change the set as well, it is not in force here.
        held_off: why everything is off for as long as this registry is open; empty: it is not.

    Raises:
        StoreError: when what is kept cannot be opened or read.
    """

    def __init__(
        self,
        kept: Path | Journal,
        clock: Callable[[], float] = time.time,
        policy: Policy | None = None,
        held_off: str = "",
    ) -> None:
        super().__init__(FileJournal(kept) if isinstance(kept, Path) else kept)
        self.policy = policy or Policy()
        self._clock = clock
        self._held_off = held_off
        self._listeners: list[Callable[[], None]] = []
        self._hold(self._read())
        if not self._journal.shared:
            self._forbid()

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

        def put() -> Hijack:
            before = self._held.hijacks[identity] if identity else None
            made = hijack
            if before is not None:
                self._check_seen(identity, seen)
                made = hijack._replace(created_at=before.created_at)
            check_size({**self._held.hijacks, made.id: made}.values())
            if not dry_run:
                self._change("replace" if before else "add", [versions.step(before, made)], actor, now)
            return made

        return self._on_newest(put, seen)

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

        def renew() -> Hijack:
            before = self._held.hijacks[identity]
            self._check_seen(identity, seen)
            self._permit(before, actor, now)
            renewed = before._replace(expires_at=end)
            self._change("renew", [versions.step(before, renewed)], actor, now)
            return renewed

        return self._on_newest(renew, seen)

    def remove(self, identity: str, actor: str = "", action: str = "remove", seen: int | None = None) -> Hijack:
        """Remove a hijack and return it.

        Raises:
            KeyError: when there is none called ``identity``.
            Conflict: when it has changed since ``seen``.
        """

        def remove() -> Hijack:
            gone = self._held.hijacks[identity]
            self._check_seen(identity, seen)
            self._change(action, [versions.step(gone, None)], actor, self._clock())
            return gone

        return self._on_newest(remove, seen)

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

        def undo() -> tuple[int, list[Step], list[str]]:
            if seen is not None and seen != self._held.version:
                raise Conflict(seen, self._held.version)
            back = self._journal.last_change() - 1 if to is None else to
            wanted, left_out = versions.alive(self.at(back, "to"), now)
            changes = versions.steps(self._held.bodies(), wanted)
            if not changes:
                why = f"nothing would change; {'; '.join(left_out)}" if left_out else "nothing would change"
                raise Invalid("to", back, f"{why}; 'mystic history' lists the versions")
            for step in changes:
                if step.after is not None:
                    self._permit(parse_hijack(step.after), actor, now, dry_run)
            check_size([parse_hijack(body) for body in wanted.values()])
            if not dry_run:
                self._change("undo", changes, actor, now, f"back to version {back}")
            return back, changes, left_out

        return self._on_newest(undo, seen)

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

        def switch() -> bool:
            known = self._held.off
            if not off and self._held_off:
                raise Invalid("off", self._held_off, "start the collector without it; it keeps everything off")
            if not off and service != EVERYTHING and EVERYTHING in known:
                raise Invalid("service", service, "everything is off; switch everything on")
            names = [service] if off or service != EVERYTHING else list(known)
            shown = {"at": now, "actor": actor, "reason": reason} if off else None
            concerned = [name for name in names if (name in known) != off]
            if not concerned:
                return False
            action, version = ("off" if off else "on"), self._held.version + 1
            entries = [Entry(now, version, action, name, actor, known.get(name), shown) for name in concerned]
            self._journal.switch([one._replace(note=reason) for one in entries], version)
            self._hold(self._held.switched(concerned, shown, version))
            return True

        return self._on_newest(switch)

    def catch_up(self) -> bool:
        """Take in what other collectors have changed; True when they have.

        Raises:
            StoreError: when what is kept cannot be read; what was in force stays so.
        """
        with self._lock:
            if not self._journal.catch_up() and self._journal.version == self._held.version:
                return False
            self._hold(self._read())
        self._tell()
        return True

    def note_digests(self, identity: str, digests: dict[str, str]) -> None:
        """Remember how the source of a hijack's functions looks now."""
        with self._lock:
            if identity in self._held.hijacks:
                self._journal.note_digests(identity, digests)

    def close(self) -> None:
        """Release what keeps it."""
        with self._lock:
            self._journal.close()

    # -- inside ----------------------------------------------------------------------------------------

    def _on_newest(self, work: Callable[[], _Made], seen: int | None = None) -> _Made:
        """Return what ``work`` makes of the newest state; it is done again when somebody else was faster."""
        if seen is not None and seen > self._held.version:
            self.catch_up()
        for _ in range(MOST_ATTEMPTS):
            known = self._held
            try:
                with self._lock:
                    made = work()
            except Behind:
                self.catch_up()
            except KeyError:
                if not self.catch_up() and known is self._held:
                    raise
            else:
                if known is not self._held:
                    self._tell()
                return made
        raise StoreError(f"others were faster {MOST_ATTEMPTS} times; nothing was changed: try again")

    def _read(self) -> Held:
        return held(self._journal, self.policy if self._journal.shared else None)

    def _hold(self, state: Held) -> None:
        """Let a state be in force."""
        held_off = {EVERYTHING: {"actor": "environment", "reason": self._held_off}} if self._held_off else {}
        self._held = state
        self._snapshot = Snapshot(state.version, tuple(state.hijacks.values()), {**state.off, **held_off})

    def _check_seen(self, identity: str, seen: int | None) -> None:
        """Refuse what was decided on an earlier state of the hijack."""
        if seen is not None and (seen > self._held.version or self._journal.latest(identity) > seen):
            raise Conflict(seen, self._held.version, self._held.hijacks[identity].to_json())

    def _permit(self, hijack: Hijack, actor: str, now: float, dry_run: bool = False) -> None:
        """Refuse what no hijack may be; the attempt is audited."""
        try:
            self.policy.check(hijack)
        except Forbidden as error:
            if not dry_run:
                with self._lock:
                    shown = hijack.to_json()
                    entry = Entry(now, self._held.version, REFUSED, hijack.id, actor, None, shown, error.remedy)
                    self._journal.refuse(entry)
            raise

    def _forbid(self) -> None:
        """Remove what the policy does not let in any more; the audit keeps it, and undo can bring it back."""
        for one in list(self._held.hijacks.values()):
            try:
                self.policy.check(one)
            except Forbidden as error:
                self._change("forbid", [versions.step(one, None)], "policy", self._clock(), error.remedy)

    def _change(self, action: str, changes: list[Step], actor: str, now: float, note: str = "") -> None:
        """Write changes as one version; memory follows only when the journal has it."""
        version = self._held.version + 1
        self._journal.change(
            [Entry(now, version, action, one.hijack, actor, one.before, one.after, note) for one in changes], version
        )
        self._hold(self._held.changed(changes, version))

    def _tell(self) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for changed in listeners:
            changed()
