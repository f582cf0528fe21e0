"""log: calls appear in the application's own logging, redacted and bounded, and as events at the collector.

The logger is ``mystic.calls.<module>``, so that the application's configuration decides what becomes of it. Arguments
and outcome also become attributes of the call's span when it is sampled, and an event ``mystic.log``, for those who do
not see the application's logging.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping
from typing import Any

from mystic_agent.contract import wire
from mystic_agent.observe import events
from mystic_agent.redact import Picture, describe
from mystic_agent.strategies import Stage, Subject
from mystic_agent.strategies.condition import Ended
from mystic_agent.strategies.decision import Decision
from mystic_agent.strategies.watch import arguments, refuse_generators, watched

_LEVELS = {
    "debug": (logging.DEBUG, events.DEBUG),
    "info": (logging.INFO, events.INFO),
    "warning": (logging.WARNING, events.WARNING),
    "error": (logging.ERROR, events.ERROR),
}


def refuse(subject: Subject, options: Mapping[str, Any]) -> str:
    """Generators are logged when they are called for, not when they end, so they are refused."""
    return refuse_generators(subject, "log")


def make(
    subject: Subject,
    options: Mapping[str, Any],
    following: Stage,
    *,
    chance: Callable[[], float] = random.random,
) -> Stage:
    """Return a stage that logs the calls ``options`` asks for.

    Args:
        chance: returns a share from 0 up to 1, for sampling.
    """
    return watched(subject, "log", _Line(subject, options, chance), following)


class _Line:
    """One function's log line."""

    def __init__(self, subject: Subject, options: Mapping[str, Any], chance: Callable[[], float]) -> None:
        self.subject = subject
        self.options = options
        self.chance = chance
        self.sample: float = options["sample"]
        self.level, self.severity = _LEVELS[options["level"]]
        self.logger = logging.getLogger("mystic.calls." + subject.name.partition(":")[0])
        self.logged = Decision(subject, "log", "logged")
        self.skipped = Decision(subject, "log", "skipped", "not in the sample")

    def skips(self, values: tuple[Any, ...]) -> bool:
        """Leave out what is not in the sample."""
        if self.sample >= 1 or self.chance() < self.sample:
            return False
        self.skipped()
        return True

    def begin(self, values: tuple[Any, ...]) -> tuple[Picture, str]:
        """Show the arguments as they are before the call, which may change them."""
        options = self.options
        picture = Picture(
            depth=options["depth"], length=options["length"], items=options["fields"], names=options["redact"]
        )
        if not options["args"]:
            return picture, ""
        shown = arguments(self.subject, values, picture, options["fields"])
        return picture, ", ".join(f"{name}={value}" for name, value in shown.items())

    def end(self, begun: tuple[Picture, str], values: tuple[Any, ...], ended: Ended) -> None:
        """Write the line."""
        picture, shown = begun
        outcome = self.outcome(picture, ended)
        self.logged()
        text = f"{self.subject.name}({shown}) {outcome} in {ended.seconds * 1e3:.3f} ms"
        if self.logger.isEnabledFor(self.level):
            self.logger.log(self.level, "%s", text, extra={"mystic_function": self.subject.name})
        told: dict[str, Any] = {wire.ARGUMENTS: shown} if self.options["args"] else {}
        told[wire.OUTCOME] = outcome
        for key, value in told.items():
            self.logged.annotate(key, value)
        self.subject.events.put(
            wire.LOG_EVENT, text, severity=self.severity, **told, **{wire.SECONDS: round(ended.seconds, 9)}
        )

    def outcome(self, picture: Picture, ended: Ended) -> str:
        """Return ``raised Type: message``, ``returned value`` or ``returned``."""
        failure = describe(ended.error)
        if failure is not None:
            return f"raised {failure[0]}: {failure[1]}" if failure[1] else f"raised {failure[0]}"
        return "returned " + picture.show(ended.result) if self.options["result"] else "returned"
