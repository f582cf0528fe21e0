"""Turns source text into a module that looks as if the application had imported it."""

from __future__ import annotations

import itertools
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from mystic_agent.attached import Attached
from mystic_agent.attachments import Attachments
from mystic_agent.contract import wire
from mystic_agent.contract.hijack import Hijack, parse_hijack
from mystic_agent.observe.trace import Tracer
from mystic_agent.scope import Scope

_numbers = itertools.count()

FORMS = {
    "plain": "plain",
    "coroutine": "coroutine",
    "method": "Thing.method",
    "by_class": "Thing.by_class",
    "static": "Thing.static",
}
"""How a function may be called: the name of the form and the function's qualname."""


@contextmanager
def application(folder: Path, source: str, traces: float = 0.0) -> Iterator[tuple[ModuleType, Attachments]]:
    """Load ``source`` from a file in ``folder`` and put the agent's hooks into it; take them out at the end."""
    name = f"mystic_app_{next(_numbers)}"
    file = folder / f"{name}.py"
    file.write_text(textwrap.dedent(source))
    module = ModuleType(name)
    module.__file__ = str(file)
    sys.modules[name] = module
    exec(compile(file.read_text(), str(file), "exec"), vars(module))
    attachments = Attachments(Scope(str(folder), (), ()), Tracer(traces), "test", "app", set())
    try:
        attachments.arrive(module)
        yield module, attachments
    finally:
        attachments.tracer.disarm()
        attachments.release_all()
        del sys.modules[name]


def counted(attached: Attached) -> dict[str, int]:
    """Return the decisions counted on a function: ``outcome`` or ``outcome reason`` → how often."""
    sums: dict[str, int] = {}
    for count in attached.meter.counts():
        told = dict(count.attributes)
        if count.metric == wire.DECISIONS:
            name = " ".join(str(told[key]) for key in (wire.DECISION, wire.REASON) if key in told)
            sums[name] = sums.get(name, 0) + int(count.value)
    return sums


def hijack(target: str, *strategies: object, identity: str = "h1") -> Hijack:
    """Return a hijack of ``target`` for every stage."""
    return parse_hijack({"id": identity, "target": target, "stages": {"*": list(strategies)}})


def offer(folder: Path, name: str, source: str, **offered: str) -> None:
    """Write a module and the mark of an installed package that offers ``name-key`` → class as custom strategies."""
    (folder / f"{name}_custom.py").write_text(textwrap.dedent(source))
    mark = folder / f"{name}-1.dist-info"
    mark.mkdir()
    (mark / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    lines = [f"{name}-{key} = {name}_custom:{found}" for key, found in offered.items()]
    (mark / "entry_points.txt").write_text("\n".join(["[mystic.strategies]", *lines]))
