"""block: the function is not called; the caller gets an exception with the reason, or a given value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mystic_agent.strategies import Stage, Subject
from mystic_agent.strategies.answer import Value, raised, returned
from mystic_agent.strategies.decision import Decision
from mystic_agent.strategies.raised import Raised


def refuse(subject: Subject, options: Mapping[str, Any]) -> str:
    """A generator function cannot give back a value in place of what it yields."""
    if not _returns(options):
        return _error(subject, options).problem
    if subject.kind in ("generator", "async_generator"):
        return f"block can only raise in {subject.kind.replace('_', ' ')} functions; mock.yields gives them values"
    return ""


def make(subject: Subject, options: Mapping[str, Any], following: Stage) -> Stage:
    """Return a stage that calls nothing, unless it fails itself."""
    kind, fails, guard = subject.kind, not _returns(options), subject.guard
    outcome = _error(subject, options) if fails else Value(options["value"])
    decided = Decision(subject, "block", "raised" if fails else "returned")

    def block() -> tuple[Any]:
        made = outcome.make()
        decided()
        return (made,)

    def blocked(*values: Any) -> Any:
        made = guard.run("block", block, None)
        if made is None:
            return following(*values)
        return raised(kind, made[0]) if fails else returned(kind, made[0])

    return blocked


def _returns(options: Mapping[str, Any]) -> bool:
    return bool(options["returns"]) or options["value"] is not None


def _error(subject: Subject, options: Mapping[str, Any]) -> Raised:
    message = f"{subject.name} is blocked: {options['message'] or 'by a hijack of Gnosis Mystic'}"
    return Raised(options["exception"], message, subject.allowed)
