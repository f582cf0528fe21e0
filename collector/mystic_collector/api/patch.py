"""``GET /api/patch`` and ``/api/hijacks/{id}/patch``: what hijacks do, as a patch of the project's source."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.hijack import ANY_STAGE, Hijack
from mystic_agent.contract.strategy import StrategySpec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.api.hijacks import unknown
from mystic_collector.discovery.config import ignore_patterns
from mystic_collector.discovery.inspection import find_file
from mystic_collector.export.export import Wanted, export
from mystic_collector.parts import Parts, parts_of
from mystic_collector.reply import reply


async def every(request: Request) -> Response:
    """One patch of all hijacks; what cannot be written in source is refused with the reason."""
    parts, stage = parts_of(request), request.query_params.get("stage", "")
    return reply(await run_in_threadpool(_patch, parts, parts.registry.snapshot().hijacks, stage))


async def one(request: Request) -> Response:
    """The patch of one hijack."""
    parts, stage, identity = parts_of(request), request.query_params.get("stage", ""), request.path_params["id"]
    found = [one for one in parts.registry.snapshot().hijacks if one.id == identity]
    if not found:
        return unknown(identity)
    return reply(await run_in_threadpool(_patch, parts, found, stage))


def _patch(parts: Parts, hijacks: Iterable[Hijack], stage: str) -> dict[str, Any]:
    """Return the patch and what became of each function that the hijacks are on, or name."""
    root, refused = parts.settings.project_root, []
    stacks: dict[str, tuple[list[StrategySpec], list[str]]] = {}
    for hijack in hijacks:
        try:
            specs = _staged(hijack, stage)
        except Invalid as error:
            refused.append((str(hijack.target), f"{error.field} {error.shown}: {error.remedy}"))
            continue
        for name in _functions(parts, hijack):
            held = stacks.setdefault(name, ([], []))
            held[0].extend(specs)
            held[1].append(hijack.id)
    wanted = []
    for name, (stack, identities) in stacks.items():
        try:
            file, line = find_file(name, root, ignore_patterns(root), _reported(parts, name, root))
        except Invalid as error:
            refused.append((name, error.remedy))
            continue
        wanted.append(Wanted(name, file, line, tuple(stack), tuple(identities)))
    done = export(wanted, root)
    return {
        "patch": done.patch,
        "functions": done.functions,
        "refused": [{"function": name, "reason": reason} for name, reason in (*refused, *done.refused)],
        "notes": done.notes,
    }


def _staged(hijack: Hijack, stage: str) -> tuple[StrategySpec, ...]:
    """Return the strategies of a stage; source does not know stages, so one must be meant.

    Raises:
        Invalid: when it is not clear which.
    """
    if not stage and len(hijack.stages) > 1:
        raise Invalid("stage", stage, f"say which is meant, of {', '.join(hijack.stages)}")
    found = hijack.strategies(stage or next(iter(hijack.stages), ANY_STAGE))
    if not found:
        raise Invalid("stage", stage, f"the hijack has nothing for it, but for {', '.join(hijack.stages)}")
    return found


def _functions(parts: Parts, hijack: Hijack) -> list[str]:
    """Return the functions that a hijack is on; those that it names in the source when it runs nowhere."""
    live = {one.function for one in parts.fleet.functions() if hijack.id in one.hijacks}
    if not live:
        written = [one.function for one in parts.catalog.functions()]
        live = {name for name in written if hijack.target.matches(*name.split(":", 1))}
    return sorted(live or {str(hijack.target)})


def _reported(parts: Parts, name: str, root: Path) -> tuple[str, int] | None:
    """Return where processes say that a function is; not when that is no file of the project here."""
    told = parts.fleet.file_of(name)
    return told if told is not None and Path(told[0]).resolve().is_relative_to(root.resolve()) else None
