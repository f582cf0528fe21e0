"""What an agent tells the collector about its functions: attached, pending, failed, skipped, released.

A report is JSON on ``POST /agent/v1/report``. The first after a (re)connection is complete; later ones
carry only the functions whose state changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.mark import Mark, parse_marks
from mystic_agent.contract.named import NamedTuple

STATES = ("attached", "counting", "pending", "failed", "skipped", "released")
KINDS = ("function", "coroutine", "generator", "async_generator", "native")
MOST_FUNCTIONS = 100_000


class FunctionReport(NamedTuple):
    """One function in one process.

    Attributes:
        function: ``module:qualname``.
        state: one of STATES. ``pending``: a hijack names it and it does not exist here yet.
        reason: why it is not attached, or why only counting; empty otherwise.
        kind: one of KINDS, or empty when not yet seen.
        file, line: where it is defined; empty and 0 when unknown.
        strategies: names in force, outermost first.
        hijacks: ids in force.
        references: references that a swap cannot reach (only for native callables).
        notes: how far its strategies have come, for people.
        marks: where in its figures the hijacks in force changed, oldest first.
    """

    function: str
    state: str
    reason: str = ""
    kind: str = ""
    file: str = ""
    line: int = 0
    strategies: tuple[str, ...] = ()
    hijacks: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the wire form, without empty fields."""
        pairs = ((name, getattr(self, name)) for name in self._fields if name != "marks")
        made = {name: list(v) if isinstance(v, tuple) else v for name, v in pairs if v not in ("", 0, ())}
        return {**made, "marks": [one.to_json() for one in self.marks]} if self.marks else made


class Report(NamedTuple):
    """One report of one process.

    Attributes:
        instance: ``service.instance.id``.
        version: registry version this process has applied; -1 before the first.
        complete: True when ``functions`` is everything this process knows.
        status: free-form facts for people: dropped, overhead, agent version, python, argv0.
    """

    instance: str
    service: str
    stage: str
    pid: int
    version: int
    complete: bool
    functions: tuple[FunctionReport, ...]
    status: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return the wire form."""
        return {
            "instance": self.instance,
            "service": self.service,
            "stage": self.stage,
            "pid": self.pid,
            "version": self.version,
            "complete": self.complete,
            "functions": [function.to_json() for function in self.functions],
            "status": dict(self.status),
        }


def parse_report(value: object) -> Report:
    """Read the wire form.

    Raises:
        Invalid: naming the first field that is wrong.
    """
    if not isinstance(value, Mapping):
        raise Invalid("report", value, "give a report as an object")
    texts = {name: value.get(name) for name in ("instance", "service", "stage")}
    for name, text in texts.items():
        if not isinstance(text, str) or not 0 < len(text) <= 200 or not text.isprintable():
            raise Invalid(name, text, "give printable text of 1 to 200 characters")
    numbers = {name: value.get(name) for name in ("pid", "version")}
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int):
            raise Invalid(name, number, "give a whole number")
    listed = value.get("functions", [])
    if not isinstance(listed, list) or len(listed) > MOST_FUNCTIONS:
        raise Invalid("functions", type(listed).__name__, f"give a list of at most {MOST_FUNCTIONS} functions")
    status = value.get("status", {})
    if not isinstance(status, Mapping):
        raise Invalid("status", status, "give an object")
    return Report(
        **texts,  # type: ignore[arg-type]
        **numbers,  # type: ignore[arg-type]
        complete=value.get("complete") is True,
        functions=tuple(_parse_function(one, f"functions[{i}]") for i, one in enumerate(listed)),
        status=status,
    )


def _parse_function(value: object, field: str) -> FunctionReport:
    if not isinstance(value, Mapping):
        raise Invalid(field, value, "give an object")
    function, state, kind = value.get("function"), value.get("state"), value.get("kind", "")
    if not isinstance(function, str) or ":" not in function or len(function) > 1000 or not function.isprintable():
        raise Invalid(f"{field}.function", function, "give 'module:qualname'")
    if state not in STATES:
        raise Invalid(f"{field}.state", state, f"give one of {', '.join(STATES)}")
    if kind and kind not in KINDS:
        raise Invalid(f"{field}.kind", kind, f"give one of {', '.join(KINDS)}")
    line = value.get("line", 0)
    if isinstance(line, bool) or not isinstance(line, int):
        raise Invalid(f"{field}.line", line, "give a whole number")
    return FunctionReport(
        function=function,
        state=state,
        reason=_short(value.get("reason", ""), f"{field}.reason"),
        kind=kind,
        file=_short(value.get("file", ""), f"{field}.file"),
        line=line,
        strategies=_texts(value.get("strategies", []), f"{field}.strategies"),
        hijacks=_texts(value.get("hijacks", []), f"{field}.hijacks"),
        references=_texts(value.get("references", []), f"{field}.references"),
        notes=_texts(value.get("notes", []), f"{field}.notes"),
        marks=parse_marks(value.get("marks", []), f"{field}.marks"),
    )


def _short(value: object, field: str) -> str:
    if isinstance(value, str) and len(value) <= 2000:
        return "".join(c for c in value if c.isprintable())
    raise Invalid(field, value, "give text of at most 2000 characters")


def _texts(value: object, field: str) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > 200:
        raise Invalid(field, value, "give a list of at most 200 texts")
    return tuple(_short(one, field) for one in value)
