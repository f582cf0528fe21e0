"""What a hijack can do to a call; one file each.

Each strategy file has two functions:

``refuse(subject, options) -> str``
    the reason why this function cannot have this strategy, or an empty text;
``make(subject, options, following) -> callable``
    a stage: it takes all parameters of the function by position (keyword-only ones, the ``*args`` tuple
    and the ``**kwargs`` dict included), and calls ``following`` the same way. For a coroutine function
    both return an awaitable.

What strategies share stands beside them: ``decision`` counts, ``kept`` holds state over a re-attach, ``answer`` and
``raised`` stand in for a call, ``alternative`` finds another implementation, ``sticky`` divides callers.

Law: a stage is made once, at attach. Whatever it does besides calling ``following`` goes through the guard, so
that the original still runs exactly once when the strategy itself fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Protocol, cast

from mystic_agent.contract.named import NamedTuple
from mystic_agent.guard import UNWATCHED, Ward
from mystic_agent.observe.events import NOWHERE, Events
from mystic_agent.observe.meter import Meter
from mystic_agent.observe.trace import Tracer
from mystic_agent.trampoline import VARARGS, VARKEYWORDS

if TYPE_CHECKING:
    from mystic_agent.cache.shared import Shared
    from mystic_agent.strategies.archive import Archive

Stage = Callable[..., Any]
Note = str | Callable[[], str]
"""What people should see with the function; a callable is asked when it is reported, on a thread of ours."""


def _nothing(module: str) -> bool:
    return False


def _untold(*what: object) -> None:
    return


def _digests() -> Callable[[tuple[Any, ...]], int]:
    from mystic_agent.cache.digest import digests

    return digests("")


class Subject(NamedTuple):
    """The function a strategy is made for.

    Attributes:
        name: ``module:qualname``.
        function: its rebuilt original (all parameters by position).
        code: its own code, with the real signature.
        kind: function, coroutine, generator or async_generator.
        meter: its figures; decisions are counted there.
        tracer: for attributes on a sampled call.
        keep: state that outlives a re-attach of the same strategy, by strategy name and options.
        allowed: true of the modules whose code a hijack may name.
        events: where it tells what happened on single calls: ``events.put(name, body, **attributes)``, redacted.
        hijack: id of the hijack that asks for the strategy.
        guard: where the strategy's own failures end; one that keeps failing is given up.
        give_up: takes (hijack, its strategies, reason); that hijack is soon taken off this function.
        note: takes (hijack, strategy, what to say); that is reported with the function, for people.
        shared: where processes share cached results; None when they do not.
        archive: where recordings are kept; None when there is nowhere.
        digests: makes what turns values into digests that the processes of the service agree on.
    """

    name: str
    function: FunctionType
    code: CodeType
    kind: str
    meter: Meter
    tracer: Tracer
    keep: dict[Any, Any]
    allowed: Callable[[str], bool] = _nothing
    events: Events = NOWHERE
    hijack: str = ""
    guard: Ward = UNWATCHED
    give_up: Callable[[str, object, str], None] = _untold
    note: Callable[[str, str, Note], None] = _untold
    shared: Shared | None = None
    archive: Archive | None = None
    digests: Callable[[], Callable[[tuple[Any, ...]], int]] = _digests

    def under(self, hijack: str, strategies: object, name: str) -> Subject:
        """Return the subject as the strategy ``name`` of a hijack gets it."""
        give_up = self.give_up
        return self._replace(
            hijack=hijack, guard=Ward(lambda why: give_up(hijack, strategies, f"{name} was taken off: it {why}"))
        )

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of all parameters, in the order in which stages take them."""
        stars = bool(self.code.co_flags & VARARGS) + bool(self.code.co_flags & VARKEYWORDS)
        return self.code.co_varnames[: self.code.co_argcount + self.code.co_kwonlyargcount + stars]

    def unknown(self, option: str, names: Iterable[str]) -> str:
        """Return why ``names``, given by an option, are not all parameters; an empty text when they are."""
        others = sorted(set(names) - set(self.parameters))
        known = ", ".join(self.parameters) or "none"
        return f"{option} names {', '.join(others)}, but the parameters are {known}" if others else ""

    @property
    def star(self) -> int:
        """Index of the ``*args`` tuple among the parameters, or -1."""
        return self.code.co_argcount + self.code.co_kwonlyargcount if self.code.co_flags & VARARGS else -1

    @property
    def double_star(self) -> int:
        """Index of the ``**kwargs`` dict among the parameters, or -1."""
        return len(self.parameters) - 1 if self.code.co_flags & VARKEYWORDS else -1


class Strategy(Protocol):
    """A strategy file."""

    def refuse(self, subject: Subject, options: Mapping[str, Any]) -> str:
        """Return why ``subject`` cannot have it, or an empty text."""

    def make(self, subject: Subject, options: Mapping[str, Any], following: Stage) -> Stage:
        """Return the stage."""


NAMES = (
    "ab",
    "analyze",
    "block",
    "cache",
    "circuit_breaker",
    "custom",
    "fault",
    "log",
    "mock",
    "rate_limit",
    "record",
    "redirect",
    "replay",
    "retry",
    "rollout",
    "shadow",
    "snapshot",
    "timeout",
)
"""The strategies this agent has; ``observe`` is no stage, it is in every trampoline."""


def known(name: str) -> Strategy | None:
    """Return the strategy called ``name``, loaded when it is first asked for, or None."""
    if name not in NAMES:
        return None
    from importlib import import_module

    return cast(Strategy, import_module(f"{__name__}.{name}"))
