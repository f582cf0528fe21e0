"""Which decorator says in source what a strategy does, or why none does. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.kinds import unfit
from mystic_agent.contract.strategy import OBSERVING, STRATEGIES, StrategySpec

MODULE = "mystic_exported"


@dataclass(frozen=True, slots=True)
class Form:
    """How one strategy is written.

    Attributes:
        decorator: its name, which is that of its file in ``plain`` as well.
        first: the option that is given by position.
        names: option → keyword, of those that the decorator takes.
        without: options that make no difference there, or that it need not have.
        always: options that are written also when they are as by default.
    """

    decorator: str
    first: str
    names: Mapping[str, str]
    without: tuple[str, ...] = ()
    always: tuple[str, ...] = ()


_RETRY = ("base", "longest", "budget", "reserve", "exceptions")
_BREAKER = ("minimum", "window", "open_for", "exceptions")
_DIVIDED = Form("divided", "to", {name: name for name in ("share", "key", "salt")}, always=("share",))
FORMS = {
    "cache": Form(
        "cached",
        "ttl",
        {**{name: name for name in ("max_entries", "ignore", "identity", "exceptions")}, "copy": "copies"},
        ("max_bytes",),
    ),
    "retry": Form("retried", "attempts", {name: name for name in (*_RETRY, "exclude")}, always=_RETRY),
    "timeout": Form("timed", "after", {"parameter": "parameter"}),
    "rate_limit": Form(
        "limited", "rate", {name: name for name in ("per", "burst", "exception", "message")}, always=("per",)
    ),
    "redirect": Form("redirected", "to", {}),
    "ab": _DIVIDED,
    "rollout": _DIVIDED,
    "circuit_breaker": Form(
        "circuit_broken",
        "failure_ratio",
        {name: name for name in (*_BREAKER, "failure_count", "probes", "exclude", "exception", "message")},
        always=_BREAKER,
    ),
}
_NOT = {
    "shadow": "it compares two implementations; export a redirect once the new one has won",
    "mock": "a stand-in belongs into tests, not into the source",
    "replay": "a stand-in belongs into tests, not into the source",
    "record": "it keeps results for replaying, which source alone does not",
    "fault": "a fault is an experiment, not a part of the source",
    "block": "take the call out of the source instead",
    "custom": "its class is in your own package already; use it there",
}


def expressed(spec: StrategySpec, kind: str) -> str:
    """Return the decorator, without ``@``, that does what ``spec`` does to a function of ``kind``.

    Raises:
        Invalid: with the reason why there is none.
    """
    reason = unfit(spec, kind)
    form = FORMS.get(spec.name)
    if reason or form is None:
        raise Invalid("strategy", spec.name, reason or _NOT.get(spec.name, "it has no form in plain source"))
    defaults = {name: option.default for name, option in STRATEGIES[spec.name].items()}
    arguments = [repr(spec.options[form.first])]
    for name, value in spec.options.items():
        if name == form.first or name in form.without:
            continue
        same = value == defaults.get(name)
        if name not in form.names:
            if not same:
                raise Invalid(f"{spec.name}.{name}", value, "this option has no form in plain source; leave it out")
        elif not same or name in form.always:
            arguments.append(f"{form.names[name]}={_literal(value)}")
    return f"{MODULE}.{form.decorator}({', '.join(arguments)})"


def decorators(specs: tuple[StrategySpec, ...], kind: str) -> tuple[list[str], list[str]]:
    """Return (decorators, outermost first; what is left out of them and why).

    Raises:
        Invalid: when one has no form, or nothing is left.
    """
    left_out = [f"{spec.name} is left out: watching stays with Mystic" for spec in specs if spec.name in OBSERVING]
    written = [expressed(spec, kind) for spec in specs if spec.name not in OBSERVING]
    if not written:
        raise Invalid("strategies", [spec.name for spec in specs], "it changes nothing, so there is nothing to export")
    return written, left_out


def _literal(value: Any) -> str:
    return repr(tuple(value)) if isinstance(value, list | tuple) else repr(value)
