"""Earlier versions of the set, and what differs between two. Law: pure; wire forms in, wire forms out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from mystic_agent.contract.hijack import Hijack

Bodies = dict[str, dict[str, Any]]
"""Hijacks in their wire form, by id."""

_SHOWN = ("target", "service", "stages", "owner", "reason", "expires_at")


@dataclass(frozen=True, slots=True)
class Step:
    """One hijack before and after one change; None where there was or is none."""

    hijack: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def wire(hijack: Hijack) -> dict[str, Any]:
    """Return a hijack as it is read back from the file, so that the two can be compared."""
    read_back: dict[str, Any] = orjson.loads(orjson.dumps(hijack.to_json()))
    return read_back


def step(before: Hijack | None, after: Hijack | None) -> Step:
    """Return the step from one to the other, which are the same hijack; one of the two may be None."""
    identity = (after or before).id  # type: ignore[union-attr]
    return Step(identity, wire(before) if before else None, wire(after) if after else None)


def rewound(current: Mapping[str, dict[str, Any]], newer: Iterable[Step]) -> Bodies:
    """Return the set as it was before the steps in ``newer``, which come newest first."""
    state = dict(current)
    for one in newer:
        state.pop(one.hijack, None)
        if one.before is not None:
            state[one.hijack] = one.before
    return state


def alive(state: Mapping[str, dict[str, Any]], now: float) -> tuple[Bodies, list[str]]:
    """Return (the hijacks whose lease has not ended at ``now``, what is said of the others)."""
    ended = {key: one for key, one in state.items() if one.get("expires_at") is not None and one["expires_at"] <= now}
    told = [f"{key} on {one['target']} is left out: its lease has ended" for key, one in ended.items()]
    return {key: one for key, one in state.items() if key not in ended}, told


def steps(before: Mapping[str, dict[str, Any]], after: Mapping[str, dict[str, Any]]) -> list[Step]:
    """Return what leads from one state of the set to another, oldest hijack first."""
    changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    changed.sort(key=lambda key: ((after.get(key) or before[key]).get("created_at", 0.0), key))
    return [Step(key, before.get(key), after.get(key)) for key in changed]


def kind(step: Step) -> str:
    """Return ``added``, ``removed`` or ``changed``."""
    return "added" if step.before is None else "removed" if step.after is None else "changed"


def described(step: Step) -> dict[str, Any]:
    """Return what a step does: ``hijack``, ``target``, ``change``, and ``fields`` with before and after of each."""
    before, after = step.before or {}, step.after or {}
    fields = [
        {"field": name, "before": before.get(name), "after": after.get(name)}
        for name in _SHOWN
        if before.get(name) != after.get(name)
    ]
    target = (step.after or step.before or {}).get("target", "")
    return {"hijack": step.hijack, "target": target, "change": kind(step), "fields": fields}


def text(changes: Iterable[Step]) -> str:
    """Return steps as people read differences: ``+`` and ``-`` before what came and what went."""
    lines = []
    for step in changes:
        shown = described(step)
        sign = {"added": "+", "removed": "-", "changed": "~"}[shown["change"]]
        lines.append(f"{sign} {step.hijack} on {shown['target']}: {shown['change']}")
        for field in shown["fields"]:
            old, new = _lines(field["field"], field["before"]), _lines(field["field"], field["after"])
            lines += [f"  - {line}" for line in old if line not in new]
            lines += [f"  + {line}" for line in new if line not in old]
    return "\n".join(lines)


def _lines(field: str, value: Any) -> list[str]:
    """Return a field line by line; options of strategies one by one."""
    if value is None or value == "":
        return []
    if field != "stages":
        return [f"{field}: {value}"]
    lines = []
    for stage, specs in value.items():
        for position, spec in enumerate(specs):
            for name, options in spec.items():
                where = f"stages.{stage}[{position}].{name}"
                lines += [f"{where}.{key}: {options[key]!r}" for key in options] or [where]
    return lines
