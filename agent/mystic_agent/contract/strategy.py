"""The strategies a hijack may name, and what each of their options may be.

The table is the single source: both sides validate against it, the API describes it, and the
agent's strategy files read the values it has already made sound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mystic_agent.contract import option
from mystic_agent.contract.condition import condition
from mystic_agent.contract.duration import LONGEST_SECONDS, seconds
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.named import NamedTuple
from mystic_agent.contract.option import Option


class StrategySpec(NamedTuple):
    """A validated strategy of a hijack: its name and complete, typed options."""

    name: str
    options: Mapping[str, Any]

    def __eq__(self, other: object) -> bool:
        """1, 1.0 and True differ, so that a hijack which changes only their type is a change."""
        if type(other) is not StrategySpec:
            return NotImplemented
        return self.name == other.name and repr(self.options) == repr(other.options)

    def __ne__(self, other: object) -> bool:
        """A tuple's own would not ask :meth:`__eq__`."""
        return not self == other

    def to_json(self) -> dict[str, Any]:
        """Return the wire form ``{name: {option: value}}``."""
        return {self.name: dict(self.options)}


OBSERVING = frozenset({"analyze", "log", "observe", "snapshot"})
"""Strategies that leave what a function does as it is; every other one changes behaviour."""

_LONGEST_WAIT = 300.0
_MESSAGE = Option(option.text(500), "", "text of the exception")


def _parameter(value: object, field: str) -> str:
    if value == "" or (isinstance(value, str) and value.isidentifier()):
        return value
    raise Invalid(field, value, "give the name of a parameter")


def _raises(value: object, field: str) -> str:
    return option.exception(value, field) or _needed(field)


def _needed(field: str) -> str:
    raise Invalid(field, "", "name a class of exceptions, such as 'RuntimeError', or leave it out")


_TO = Option(option.function, "", "the other implementation, module:qualname, which must take the same calls")
_REDACT = Option(option.names, (), "further names whose values never leave")
_SALT = Option(option.text(100), "", "another text divides the callers otherwise; empty: the function's name")
_LEFT_OUT = Option(option.names, (), "arguments left out of the key, e.g. self")
_IDENTITY = Option(option.names, (), "attributes of self that stand for it in the key")

STRATEGIES: dict[str, dict[str, Option]] = {
    "observe": {},
    "analyze": {
        "share": Option(option.share, 0.01, "share of a core that looking at calls may cost, e.g. 1%"),
        "accesses": Option(option.whole(1, 1500), 150, "calls told in a second at most; more make predictions surer"),
    },
    "log": {
        "args": Option(option.flag, True, "log the arguments, redacted"),
        "result": Option(option.flag, False, "log the result, redacted"),
        "level": Option(
            option.choice("debug", "info", "warning", "error"), "info", "level in the application's logging"
        ),
        "sample": Option(option.share, 1.0, "share of calls that are logged"),
        "depth": Option(option.whole(0, 10), 3, "how deep containers are shown"),
        "length": Option(option.whole(16, 65536), 500, "characters of one value"),
        "fields": Option(option.whole(1, 200), 20, "arguments, and items of one container, that are shown"),
        "redact": _REDACT,
    },
    "snapshot": {
        "when": Option(condition, "", "which calls, e.g. amount > 100 and exception == 'TimeoutError'"),
        "count": Option(option.whole(1, 10_000), 10, "snapshots in each process; then it stops"),
        "rate": Option(option.number(0, 1000), 5.0, "snapshots a second at most"),
        "locals": Option(option.flag, True, "show the local variables of the application's frames of an exception"),
        "frames": Option(option.whole(0, 50), 8, "callers, and frames of an exception, that are shown"),
        "depth": Option(option.whole(0, 10), 3, "how deep containers are shown"),
        "length": Option(option.whole(16, 16384), 500, "characters of one value"),
        "fields": Option(option.whole(1, 200), 20, "arguments, variables, and items of one container, that are shown"),
        "size": Option(option.whole(256, 32768), 16384, "characters of all values together"),
        "redact": _REDACT,
    },
    "cache": {
        "ttl": Option(seconds, 60.0, "how long a result is served, from the moment it was computed"),
        "stale": Option(
            option.span(LONGEST_SECONDS), 0.0, "how long after that it is still served while one call computes it anew"
        ),
        "scope": Option(
            option.choice("process", "shared"), "process", "shared: processes share what they keep, by the collector"
        ),
        "vary_by": Option(
            option.places, (), "what else the result depends on, e.g. request.user.id or contextvar:app.context:user"
        ),
        "ignore": Option(
            option.left_out,
            (),
            "what it does not depend on: arguments, e.g. self, or contextvar:app.log:request_id",
        ),
        "identity": _IDENTITY,
        "copy": Option(option.choice("auto", "never", "deep"), "auto", "auto copies mutable results on the way out"),
        "exceptions": Option(option.flag, False, "also keep exceptions"),
        "max_bytes": Option(
            option.size, 64 * 2**20, "estimated bytes kept in one process; least recently stored go first"
        ),
        "max_entries": Option(option.whole(1, 10_000_000), 100_000, "results kept in one process"),
    },
    "mock": {
        "value": Option(option.data, None, "what is returned, as JSON"),
        "exception": Option(option.exception, "", "what is raised instead, e.g. TimeoutError or app.errors.Refused"),
        "message": _MESSAGE,
        "sequence": Option(
            option.optional(option.steps), None, 'one result a call, e.g. [1, {"raise": "TimeoutError"}]'
        ),
        "then": Option(
            option.choice("last", "cycle", "original"),
            "last",
            "after the sequence: its last again, all again, or the original",
        ),
        "yields": Option(option.optional(option.items), None, "what a generator function yields"),
    },
    "block": {
        "message": Option(option.text(500), "", "why; becomes the text of the exception"),
        "exception": Option(_raises, "PermissionError", "what is raised"),
        "value": Option(option.data, None, "what is returned instead of raising, as JSON"),
        "returns": Option(option.flag, False, "return the value instead of raising, also when it is null"),
    },
    "fault": {
        "share": Option(option.share, 1.0, "share of calls that are disturbed, e.g. 5%"),
        "latency": Option(option.span(_LONGEST_WAIT), 0.0, "delay before the call"),
        "exception": Option(option.exception, "", "what is raised instead of calling, e.g. ConnectionError"),
        "message": _MESSAGE,
    },
    "retry": {
        "attempts": Option(option.whole(2, 20), 3, "calls in all, the first included"),
        "base": Option(option.span(_LONGEST_WAIT), 0.1, "wait before the first retry at most; doubles each time"),
        "longest": Option(option.span(_LONGEST_WAIT), 10.0, "wait at most"),
        "budget": Option(option.share, 0.2, "retries as a share of calls, over all calls of the function"),
        "reserve": Option(option.whole(1, 10_000), 10, "retries that may be made beyond that share"),
        "exceptions": Option(option.exceptions, ("Exception",), "what is retried, e.g. ConnectionError,TimeoutError"),
        "exclude": Option(option.exceptions, (), "what is not, although it is one of those"),
    },
    "timeout": {
        "after": Option(option.span(86400.0, zero=False), 30.0, "how long a call may take"),
        "parameter": Option(_parameter, "", "the function's own time limit in seconds, lowered to that; e.g. timeout"),
    },
    "rate_limit": {
        "rate": Option(option.number(0, 1e6), 100.0, "calls let through in one stretch of time, in each process"),
        "per": Option(option.span(86400.0, zero=False), 1.0, "that stretch of time"),
        "burst": Option(option.whole(0, 1_000_000), 0, "calls let through at once; 0 for the rate"),
        "wait": Option(option.span(_LONGEST_WAIT), 0.0, "how long a coroutine may wait for its turn"),
        "exception": Option(_raises, "RuntimeError", "what calls beyond that raise"),
        "message": _MESSAGE,
    },
    "circuit_breaker": {
        "failure_ratio": Option(option.number(0, 1), 0.5, "share of failures in the window that opens it"),
        "failure_count": Option(
            option.whole(0, 1_000_000), 0, "number of failures in the window that opens it; 0: none"
        ),
        "minimum": Option(option.whole(1, 1_000_000), 20, "calls in the window below which the share says nothing"),
        "window": Option(option.span(3600.0, zero=False), 30.0, "how far back calls are counted"),
        "open_for": Option(option.span(86400.0, zero=False), 30.0, "how long no call is let through"),
        "probes": Option(option.whole(1, 1000), 1, "calls that must then succeed, one at a time, to close it"),
        "exceptions": Option(option.exceptions, ("Exception",), "what is a failure, e.g. ConnectionError,TimeoutError"),
        "exclude": Option(option.exceptions, (), "what is none, although it is one of those"),
        "exception": Option(_raises, "RuntimeError", "what calls raise while it is open"),
        "message": _MESSAGE,
    },
    "custom": {
        "name": Option(option.name, "", "of the strategy, in the entry point group mystic.strategies"),
        "options": Option(option.fields, {}, "what the strategy itself is told, as a JSON object"),
    },
    "redirect": {"to": _TO},
    "ab": {
        "to": _TO,
        "share": Option(option.share, 0.5, "share of calls that go there, e.g. 20%"),
        "key": Option(option.path, "", "where in the arguments the caller is known by, e.g. user_id; empty: by lot"),
        "salt": _SALT,
    },
    "rollout": {
        "to": _TO,
        "share": Option(option.share, 0.05, "share of callers that go there, e.g. 5%"),
        "key": Option(option.path, "", "where in the arguments the caller is known by, e.g. request.user.id"),
        "salt": _SALT,
    },
    "record": {
        "name": Option(option.name, "", "of the recording, which results are added to"),
        "share": Option(option.share, 1.0, "share of calls that are looked at"),
        "count": Option(option.whole(1, 10_000), 1000, "outcomes that one process keeps, one of each call"),
        "max_bytes": Option(option.size, 4 * 2**20, "bytes of them together"),
        "exceptions": Option(option.flag, True, "also keep what calls raise"),
        "ignore": _LEFT_OUT,
        "identity": _IDENTITY,
        "redact": Option(option.names, (), "further names whose values are not kept"),
    },
    "replay": {
        "recording": Option(option.name, "", "name of the recording"),
        "missing": Option(option.choice("original", "raise"), "original", "what becomes of calls that are not in it"),
        "check": Option(option.share, 0.0, "share of calls that go to the function, to see whether it gives the same"),
        "may_differ": Option(option.inside, (), "what in results is no drift, e.g. created_at, items.*.id"),
        "relative": Option(option.share, 0.0, "share by which numbers in results may differ"),
        "absolute": Option(option.amount(1e300), 0.0, "difference that numbers in results may have"),
        "ignore": _LEFT_OUT,
        "identity": _IDENTITY,
    },
    "shadow": {
        "to": _TO,
        "sample": Option(option.share, 1.0, "share of the old one's calls that the new one is called for as well"),
        "begin": Option(option.choice("shadow", "canary", "full"), "shadow", "the first stage"),
        "share": Option(option.share, 0.1, "share of callers, or of calls, that the canary has"),
        "key": Option(option.path, "", "where in the arguments the caller is known by, e.g. user_id; empty: by lot"),
        "salt": _SALT,
        "promote": Option(option.choice("full", "canary", "never"), "full", "how far it goes by itself"),
        "rollback": Option(option.flag, True, "take it back when it is worse than allowed; otherwise only say so"),
        "minimum": Option(option.whole(1, 1_000_000), 100, "calls of the new one in a stage before the next"),
        "window": Option(option.span(30 * 86400.0), 300.0, "how long a stage lasts at least"),
        "differs": Option(option.share, 0.0, "share of results that may differ"),
        "errors": Option(option.share, 0.0, "share of calls by which it may fail more"),
        "slower": Option(option.number(0, 1000), 1.5, "times as long as the old one that most calls may take"),
        "least": Option(option.span(_LONGEST_WAIT), 0.01, "and how much longer at least before it counts"),
        "within": Option(
            option.span(_LONGEST_WAIT), 0.0, "how long its calls may take, the old one aside; 0: any time"
        ),
        "late": Option(option.share, 0.05, "share of its calls that may take longer than that"),
        "relative": Option(option.share, 0.0, "share by which numbers in results may differ"),
        "absolute": Option(option.amount(1e300), 0.0, "difference that numbers in results may have"),
        "ignore": Option(option.inside, (), "what in results may differ, e.g. created_at, items.*.id"),
        "uncopied": Option(option.names, (), "parameters that both are given as they are, e.g. self"),
    },
}


def _one_outcome(options: Mapping[str, Any], field: str) -> None:
    given = [name for name in ("value", "exception", "sequence", "yields") if options[name] not in (None, "")]
    if len(given) > 1:
        raise Invalid(field, given, "give only one of value, exception, sequence and yields")


def _some_fault(options: Mapping[str, Any], field: str) -> None:
    if not options["latency"] and not options["exception"]:
        raise Invalid(field, dict(options), "give latency, exception, or both")


def _some_share(options: Mapping[str, Any], field: str) -> None:
    _needs("to")(options, field)
    if not 0 < options["share"] < 1:
        raise Invalid(f"{field}.share", options["share"], "give more than none and less than all, to compare them")


def _needs(*names: str) -> Callable[[Mapping[str, Any], str], None]:
    def check(options: Mapping[str, Any], field: str) -> None:
        for name in names:
            if not options[name]:
                raise Invalid(
                    f"{field}.{name}", options[name], f"give it: {STRATEGIES[field.rpartition('.')[2]][name].help}"
                )

    return check


CHECKS: dict[str, Callable[[Mapping[str, Any], str], None]] = {
    "ab": _needs("to"),
    "custom": _needs("name"),
    "fault": _some_fault,
    "mock": _one_outcome,
    "record": _needs("name"),
    "redirect": _needs("to"),
    "replay": _needs("recording"),
    "rollout": _needs("to", "key"),
    "shadow": _some_share,
}
"""What a strategy's options must satisfy together."""


def parse_strategy(value: object, field: str) -> StrategySpec:
    """Read ``{"cache": {"ttl": "30s"}}`` or the bare name ``"observe"``.

    Raises:
        Invalid: for an unknown strategy or option, or a value out of range; the message lists what is known.
    """
    if isinstance(value, str):
        value = {value: {}}
    if not isinstance(value, Mapping) or len(value) != 1:
        raise Invalid(field, value, 'give one strategy with its options, e.g. {"cache": {"ttl": "30s"}}')
    [(name, given)] = value.items()
    known = STRATEGIES.get(name) if isinstance(name, str) else None
    if known is None:
        raise Invalid(field, name, f"unknown strategy; known are {', '.join(sorted(STRATEGIES))}")
    if given is None or given is True:
        given = {}
    if not isinstance(given, Mapping):
        raise Invalid(f"{field}.{name}", given, "give the options as an object")
    for key in given:
        if key not in known:
            raise Invalid(f"{field}.{name}", key, f"unknown option; known are {', '.join(sorted(known)) or 'none'}")
    options = {
        key: one.read(given[key], f"{field}.{name}.{key}") if key in given else one.default
        for key, one in known.items()
    }
    if name in CHECKS:
        CHECKS[name](options, f"{field}.{name}")
    return StrategySpec(str(name), options)
