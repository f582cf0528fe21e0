"""Every function that concerns us in this process, and what is in force on it.

The only authority over which hook is in which function. Changes come from two sides, modules that arrive and
hijacks that change, and meet in ``_settle``, which compares what should be in force with what is.
"""

from __future__ import annotations

import _thread
import sys
from collections import deque
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mystic_agent import nested, plan, targets
from mystic_agent.attached import COUNT, RELEASED, SHARED_WITH_AGENT, Attached
from mystic_agent.contract.hijack import Hijack
from mystic_agent.contract.report import FunctionReport
from mystic_agent.contract.target import Target
from mystic_agent.guard import guard
from mystic_agent.missing import pending
from mystic_agent.observe.events import EventQueue, Events
from mystic_agent.observe.meter import Standing
from mystic_agent.observe.templates import COUNT as COUNTING
from mystic_agent.observe.templates import OBSERVE as OBSERVING
from mystic_agent.observe.trace import Tracer
from mystic_agent.plan import OBSERVED, Plan, Refused
from mystic_agent.roster import Roster
from mystic_agent.scope import Scope
from mystic_agent.strategies import Note, Subject
from mystic_agent.swap import Swapped

if TYPE_CHECKING:
    from mystic_agent.cache.shared import Shared
    from mystic_agent.strategies.archive import Archive


class Attachments:
    """The functions of this process.

    Args:
        scope: which modules and functions are observed by default.
        tracer: where sampled calls go.
        stage: ``MYSTIC_ENV``.
        service: this process's ``service.name``.
        agent_threads: identities of the agent's own threads; mutable, shared.
        allow: globs of the modules whose code a hijack may name; empty for the project's own.

    Attributes:
        events: what strategies tell of single calls.
    """

    def __init__(
        self,
        scope: Scope,
        tracer: Tracer,
        stage: str,
        service: str,
        agent_threads: set[int],
        allow: Sequence[str] = (),
    ) -> None:
        self.scope = scope
        self.tracer = tracer
        self.stage = stage
        self.service = service
        self.threads = agent_threads
        self.allow = tuple(Target(glob, "*") for glob in allow)
        self.events = EventQueue()
        self.roster = Roster(scope, tracer)
        self.by_name = self.roster.by_name
        self.off = False  # everything is released until the collector says otherwise
        self.hijacks: tuple[Hijack, ...] = ()
        self.rejected: tuple[tuple[str, str], ...] = ()
        self.version = -1  # of the registry, that the hijacks are of
        self.shared: Shared | None = None  # where processes share cached results
        self.archive: Archive | None = None  # where recordings are kept
        self.secret = ""  # keys the digests of values
        self._failing: deque[tuple[Attached, str, object, str]] = deque()  # (function, hijack, its strategies, why)
        self.revision = 0  # grows with every change that a report would show
        self._lock = _thread.RLock()

    def arrive(self, module: ModuleType) -> int:
        """Look at a module that has been loaded (again); return how many of its functions are now hijacked."""
        name = module.__name__
        with self._lock:
            if self.off or not self.scope.wants_loaded(name, module):
                return 0
            self.roster.enter(name, module)
            mine = self.roster.of(name)
            hijacked = sum(self._settle(one) for one in mine)
            nested.adopt(one for attached in mine for one in attached.nested if one.alive)
            return hijacked

    def apply(self, hijacks: Sequence[Hijack], rejected: Sequence[tuple[str, str]] = (), version: int = -1) -> None:
        """Put the whole set of hijacks in force, in place of the one before; ``version`` is the registry's."""
        with self._lock:
            self.version = version
            mine = tuple(h for h in hijacks if h.applies_to(self.service) and h.strategies(self.stage))
            if mine == self.hijacks and tuple(rejected) == self.rejected:
                return
            changed = _changed(self.hijacks, mine)
            self.hijacks, self.rejected = mine, tuple(rejected)
            self.revision += 1
            self.scope.name(h.target for h in mine)
            self.roster.look_for(mine)
            concerned = []
            for attached in list(self.by_name.values()):
                if any(h.target.matches(attached.module, attached.qualname) for h in changed):
                    self._settle(attached)
                    concerned += attached.nested
            nested.adopt(concerned)

    def _settle(self, attached: Attached) -> bool:
        """Bring what is in force on one function to what should be; return True when it is hijacked."""
        before = (attached.state, attached.why, attached.plan, attached.refused)
        hijacks = () if self.off else self.hijacks
        chosen = plan.choose(hijacks, self.stage, attached.module, attached.qualname) if hijacks else None
        chosen, attached.refused = self._admitted(attached, chosen)
        standing = attached.marks.standing(chosen is not None)
        wanted = chosen is not None or (attached.default and not attached.reason)
        if self.off or (attached.level == RELEASED and not (chosen and chosen.strategies)):
            wanted = False
        try:
            if not wanted:
                self._release(attached)
                attached.state, attached.why = self._idle(attached)
            else:
                self._install(attached, chosen or OBSERVED)
        except Refused as refused:
            if attached.default and not attached.reason:  # observed as it would be without the hijack
                attached.state = "released"  # in name only: the new hook replaces the old one, and no call is missed
                self._install(attached, OBSERVED)
            else:
                self._release(attached)
            attached.state, attached.why = "failed", str(refused)
        except (ValueError, TypeError, RuntimeError, SyntaxError) as error:
            guard.note("attach", error)
            self._release(attached)
            attached.state, attached.why = "failed", f"{type(error).__name__}: {error}"[:300]
        attached.plan = chosen
        attached.let_go()
        marked = standing is not None and self._mark(attached, standing)
        if marked or (attached.state, attached.why, chosen, attached.refused) != before:
            self.revision += 1
        return attached.state in ("attached", "counting")

    def _mark(self, attached: Attached, standing: Standing) -> bool:
        """Divide the figures where what is in force changes; True when it has changed."""
        chosen = attached.plan if attached.plan is not None and attached.state in ("attached", "counting") else OBSERVED
        names = tuple(spec.name for spec in chosen.strategies)
        return attached.marks.changed(chosen.hijacks, chosen.strategies, names, self.version, standing)

    def _admitted(self, attached: Attached, chosen: Plan | None) -> tuple[Plan | None, dict[str, str]]:
        """Return the plan without the hijacks that this function cannot have, and why; a single one is judged later."""
        if chosen is None:
            attached.forget()
        if chosen is None or len(chosen.hijacks) < 2:
            return chosen, {}
        refused = attached.fallen(chosen)
        for identity in chosen.hijacks:
            try:
                for swap in attached.swaps:
                    plan.check(chosen.of((identity,)), self._subject(attached, swap))
            except Refused as why:
                refused[identity] = str(why)
        good = [identity for identity in chosen.hijacks if identity not in refused]
        return (chosen.of(good), refused) if good else (chosen, {})

    def _subject(self, attached: Attached, swap: Swapped) -> Subject:
        return Subject(
            attached.name,
            swap.original,
            swap.code,
            attached.kind,
            attached.meter,
            self.tracer,
            attached.keep,
            self.allowed,
            Events(attached.name, self.events),
            give_up=lambda hijack, strategies, why: self._failing.append((attached, hijack, strategies, why)),
            note=lambda hijack, strategy, text: self._note(attached, hijack, strategy, text),
            shared=self.shared,
            archive=self.archive,
            digests=self.digests,
        )

    def digests(self) -> Callable[[tuple[Any, ...]], int]:
        """Return what turns values into digests, agreed on by the processes of this service."""
        from mystic_agent.cache.digest import digests

        return digests(self.service, self.secret)

    def _note(self, attached: Attached, hijack: str, strategy: str, text: Note) -> None:
        """Keep what a strategy wants people to see; on any thread, and without a lock."""
        attached.notes[hijack, strategy] = text
        self.revision += 1

    def take_off(self) -> None:
        """Take off what has failed since the last time; its function runs as it would without that hijack."""
        while self._failing:
            attached, hijack, strategies, why = self._failing.popleft()
            if not hijack:  # calls that were noted unasked
                self.analyze(attached.name, None)
                continue
            with self._lock:
                attached.gave_up[hijack] = (strategies, why)
                self._settle(attached)

    def _idle(self, attached: Attached) -> tuple[str, str]:
        if self.off:
            return "released", "switched off at the collector"
        if attached.governed:
            return "released", attached.governed
        if attached.reason and attached.default:
            return "skipped", attached.reason
        return "released", ""

    def _install(self, attached: Attached, chosen: Plan) -> None:
        for why in attached.fallen(chosen).values():
            raise Refused(why)
        counting = attached.level == COUNT and not chosen.strategies
        state = "counting" if counting else "attached"
        if chosen.strategies or counting:
            attached.analysis = None
        elif attached.analysis is not None:
            chosen = attached.analysis
        if attached.state == state and attached.plan is not None and attached.plan.strategies == chosen.strategies:
            return
        if attached.state == state and attached.plan is None and not chosen.strategies:
            return
        if attached.native is not None:
            if chosen.strategies:
                raise Refused(f"{attached.name} is implemented in C and can only be observed")
            attached.native.install(attached.meter)
        shared = attached.module.partition(".")[0] in SHARED_WITH_AGENT
        for swap in attached.swaps:
            if chosen.strategies:
                subject = self._subject(attached, swap)
                hook = plan.compose(chosen, subject, shared_with_agent=shared, agent=self.threads)
            else:
                hook = plan.observed(
                    attached.kind,
                    swap.original,
                    plan.observing(attached.meter, self.tracer),
                    counting=counting,
                    shared_with_agent=shared,
                    agent=self.threads,
                )
            swap.install(*hook)
        if attached.nested:
            if chosen.strategies:
                raise Refused("it is made anew at each call of the function around it, so it can only be observed")
            constants = plan.observing(attached.meter, self.tracer)
            for one in attached.nested:
                one.install((COUNTING if counting else OBSERVING)[attached.kind], constants)
        attached.state, attached.why = state, attached.governed if counting else ""

    def allowed(self, module: str) -> bool:
        """True when a hijack may name code of ``module``, for the process to run in place of the hijacked function."""
        if module.partition(".")[0] in targets.OWN:
            return False
        if self.allow:
            return any(target.wants_module(module) for target in self.allow)
        return self.scope.owns(module)

    def _release(self, attached: Attached) -> None:
        for swap in attached.swaps:
            if not swap.release():
                attached.why = "another tool has replaced the code of this function"
        for one in attached.nested:
            one.release()
        if attached.native is not None:
            attached.native.release()
        attached.state = "released"

    def step(self, name: str, level: str, reason: str) -> None:
        """Step one function down to counting, or release it, and remember why."""
        with self._lock:
            attached = self.by_name[name]
            attached.level, attached.governed = level, reason
            self._settle(attached)
            nested.adopt(attached.nested)

    def analyze(self, name: str, share: float | None) -> None:
        """Note the calls of a function besides what is in force on it, at a share of a core; None ends that.

        It shows in no report, and is over as soon as the function gets a strategy.
        """
        with self._lock:
            attached = self.by_name.get(name)
            if attached is None:
                return
            attached.analysis = plan.analysis(share) if share is not None else None
            if attached.state == "attached" and not (attached.plan is not None and attached.plan.strategies):
                attached.state = "released"  # in name only: the new hook replaces the old one, and no call is missed
                self._settle(attached)
            if share is None:
                attached.forget_analysis()

    def switch(self, off: bool) -> None:
        """Put every function back and look at no module, or end that."""
        with self._lock:
            if off == self.off:
                return
            self.off = off
            self.revision += 1
            for name, module in () if off else list(sys.modules.items()):
                if isinstance(name, str) and self.scope.wants_loaded(name, module):
                    guard.run("arrive", self.arrive, 0, module)
            for attached in self.by_name.values():
                if off:
                    attached.keep.clear()
                self._settle(attached)
            nested.adopt(one for attached in self.by_name.values() for one in attached.nested)

    def release_all(self) -> None:
        """Put every function back; nothing of ours stays on any call."""
        with self._lock:
            self.hijacks = ()
            for attached in self.by_name.values():
                self._release(attached)
                attached.default = False
            nested.adopt(one for a in self.by_name.values() for one in a.nested)
            self.roster.clear()

    def reports(self) -> dict[str, FunctionReport]:
        """Return the state of everything known, by name."""
        with self._lock:
            known = {a.name: a.report() for a in self.by_name.values() if a.default or a.plan or a.state != "released"}
            missing = pending(self.hijacks, self.rejected, self.by_name)
            refused = [one for a in self.by_name.values() for one in a.refusals()]
            return known | {one.function: one for one in (*missing, *refused)}

    def reset(self) -> None:
        """Start from zero figures and new locks, as a forked child does; hooks stay in force."""
        self._lock = _thread.RLock()
        self.events.reset()
        self._failing.clear()
        for attached in self.by_name.values():
            attached.meter.reset()
            attached.marks.reset()
            for state in attached.keep.values():
                state.reset()


def _changed(before: Sequence[Hijack], after: Sequence[Hijack]) -> list[Hijack]:
    """Return the hijacks that came, went or differ."""
    old, new = {h.id: h for h in before}, {h.id: h for h in after}
    return [h for key, h in new.items() if old.get(key) != h] + [h for key, h in old.items() if new.get(key) != h]
