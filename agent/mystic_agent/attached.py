"""One function of this process by its name, and what is in force on it."""

from __future__ import annotations

from typing import Any

from mystic_agent.contract.report import FunctionReport
from mystic_agent.guard import guard
from mystic_agent.native import Native
from mystic_agent.nested import Nested
from mystic_agent.observe.marks import Marks
from mystic_agent.observe.meter import Meter
from mystic_agent.plan import OBSERVED, Plan
from mystic_agent.strategies import Note
from mystic_agent.swap import Swapped

_SHARED = """
    _weakrefset abc codecs collections contextlib copy copyreg email encodings enum functools gc gzip http io json
    logging os posixpath queue random re select selectors socket ssl struct threading typing urllib weakref zlib
"""
SHARED_WITH_AGENT = frozenset(_SHARED.split())
"""Modules whose functions the agent's own threads may call: those calls are not the application's."""
OBSERVE, COUNT, RELEASED = "observe", "count", "released"


class Attached:
    """One function by name: its function objects, its figures and what is in force.

    Several function objects may share a name: a property's getter and setter, instances of one closure.
    """

    def __init__(self, module: str, qualname: str, meter: Meter) -> None:
        self.module = module
        self.qualname = qualname
        self.name = f"{module}:{qualname}"
        self.meter = meter
        self.swaps: list[Swapped] = []
        self.nested: list[Nested] = []
        self.native: Native | None = None
        self.kind = ""
        self.default = False
        self.reason = ""
        self.plan: Plan | None = None
        self.refused: dict[str, str] = {}  # hijack → why it is not part of the plan
        self.level = OBSERVE
        self.governed = ""
        self.state = "released"
        self.why = ""
        self.references: tuple[str, ...] = ()
        self.keep: dict[Any, Any] = {}
        self.notes: dict[tuple[str, str], Note] = {}  # (hijack, strategy) → what people should see
        self.gave_up: dict[str, tuple[object, str]] = {}  # hijack → (its strategies as they were, why)
        self.marks = Marks(meter)
        self.analysis: Plan | None = None  # besides the plan, and only while that has no strategies

    def fallen(self, chosen: Plan) -> dict[str, str]:
        """Return hijack → reason for those of a plan that were given up here, and have not been changed since."""
        if not self.gave_up:
            return {}
        return {
            hijack: why
            for hijack, (strategies, why) in self.gave_up.items()
            if hijack in chosen.hijacks and chosen.of((hijack,)).strategies == strategies
        }

    def forget(self) -> None:
        """Forget what became of hijacks that are gone."""
        self.notes.clear()
        self.gave_up.clear()

    def let_go(self) -> None:
        """Drop what strategies kept that are no longer in force; calls noted for an analysis are still to be told."""
        if not self.keep:
            return
        from mystic_agent.strategies.kept import wording

        chosen = self.plan if self.plan is not None and self.state in ("attached", "counting") else OBSERVED
        pairs = zip(chosen.strategies, chosen.owners, strict=True)
        there = {(spec.name, owner, wording(spec.options)) for spec, owner in pairs}
        named = self.plan.hijacks if self.plan is not None else ()
        for of in [of for of in list(self.notes) if of[0] not in named]:
            self.notes.pop(of, None)
        for key in [key for key in self.keep if key[0] != "analyze" and key[1] and key[:3] not in there]:
            del self.keep[key]

    def forget_analysis(self) -> None:
        """Forget what was noted of calls without having been asked for."""
        if not any(spec.name == "analyze" for spec in (self.plan or OBSERVED).strategies):
            for key in [key for key in self.keep if key[0] == "analyze"]:
                del self.keep[key]

    def noted(self, chosen: Plan) -> tuple[str, ...]:
        """Return what the strategies of a plan want people to see."""
        there = {(owner, spec.name) for spec, owner in zip(chosen.strategies, chosen.owners, strict=True)}
        wanted = [(of[1], self.notes[of]) for of in sorted(self.notes) if of in there]
        return tuple(f"{name}: {note if isinstance(note, str) else guard.run(name, note, '')}" for name, note in wanted)

    def refusals(self) -> list[FunctionReport]:
        """Return what the collector is told of the hijacks that others are in force without."""
        return [
            FunctionReport(f"hijack:{identity}", "failed", f"{self.name}: {why}", hijacks=(identity,))
            for identity, why in self.refused.items()
        ]

    def report(self) -> FunctionReport:
        """Return what the collector is told."""
        code = self.swaps[0].code if self.swaps else self.nested[0].code if self.nested else None
        chosen = self.plan or OBSERVED
        return FunctionReport(
            function=self.name,
            state=self.state,
            reason=self.why,
            kind="native" if self.native else self.kind,
            file=code.co_filename if code is not None else "",
            line=code.co_firstlineno if code is not None else 0,
            strategies=("observe", *(spec.name for spec in chosen.strategies)) if self.state == "attached" else (),
            hijacks=chosen.hijacks,
            notes=self.noted(chosen),
            references=self.references,
            marks=self.marks.all(),
        )
