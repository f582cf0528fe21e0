"""log: calls appear in the application's own logging, redacted and bounded.

The logger is ``mystic.calls.<module>``, so that the application's configuration decides what becomes of it.
Arguments, result and exception also become attributes of the call's span when it is sampled.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping
from contextvars import ContextVar
from time import perf_counter_ns
from typing import Any

from mystic_agent.guard import guard
from mystic_agent.redact import HIDDEN, describe, secret_name, show
from mystic_agent.strategies import Stage, Subject

_inside: ContextVar[bool] = ContextVar("mystic_log_inside", default=False)


def refuse(subject: Subject, options: Mapping[str, Any]) -> str:
    """Generators are logged when they are called for, not when they end, so they are refused."""
    if subject.kind in ("generator", "async_generator"):
        return f"log cannot show the result of {subject.kind.replace('_', ' ')} functions"
    return ""


def make(subject: Subject, options: Mapping[str, Any], following: Stage) -> Stage:
    """Return a stage that logs the calls ``options`` asks for."""
    line = _Line(subject, options)
    share = options["sample"]

    def wanted() -> bool:
        return not _inside.get() and (share >= 1 or random.random() < share)  # noqa: S311 -- sampling, no secret

    if subject.kind == "coroutine":

        async def logged_async(*values: Any) -> Any:
            if not wanted():
                return await following(*values)
            started = perf_counter_ns()
            try:
                result = await following(*values)
            except BaseException as error:
                guard.run("log", line.emit, None, values, None, error, perf_counter_ns() - started)
                raise
            guard.run("log", line.emit, None, values, result, None, perf_counter_ns() - started)
            return result

        return logged_async

    def logged(*values: Any) -> Any:
        if not wanted():
            return following(*values)
        started = perf_counter_ns()
        try:
            result = following(*values)
        except BaseException as error:
            guard.run("log", line.emit, None, values, None, error, perf_counter_ns() - started)
            raise
        guard.run("log", line.emit, None, values, result, None, perf_counter_ns() - started)
        return result

    return logged


class _Line:
    """One function's log line."""

    def __init__(self, subject: Subject, options: Mapping[str, Any]) -> None:
        self.subject = subject
        self.options = options
        self.level = logging.getLevelNamesMapping()[options["level"].upper()]
        self.logger = logging.getLogger("mystic.calls." + subject.name.partition(":")[0])
        self.cell = subject.meter.cell("log", "logged")

    def emit(self, values: tuple[Any, ...], result: Any, error: BaseException | None, elapsed: int) -> None:
        """Write the line; a handler that is itself hijacked for logging does not come back here."""
        token = _inside.set(True)
        try:
            self.subject.meter.h[self.cell] += 1
            shown = self.arguments(values) if self.options["args"] else None
            outcome = self.outcome(result, error)
            if self.logger.isEnabledFor(self.level):
                text = f"{self.subject.name}({shown or ''}) {outcome} in {elapsed / 1e6:.3f} ms"
                self.logger.log(self.level, "%s", text, extra={"mystic_function": self.subject.name})
            if self.subject.tracer.sampling:
                if shown is not None:
                    self.subject.tracer.annotate("mystic.arguments", shown)
                self.subject.tracer.annotate("mystic.outcome", outcome)
        finally:
            _inside.reset(token)

    def arguments(self, values: tuple[Any, ...]) -> str:
        """Return ``name=value, …`` with secrets hidden by name and by look."""
        options, parts = self.options, []
        for name, value in zip(self.subject.parameters, values, strict=False):
            hidden = secret_name(name, options["redact"])
            shown = (
                HIDDEN
                if hidden
                else show(value, depth=options["depth"], length=options["length"], names=options["redact"])
            )
            parts.append(f"{name}={shown}")
        return ", ".join(parts)

    def outcome(self, result: Any, error: BaseException | None) -> str:
        """Return ``raised Type: message``, ``returned value`` or ``returned``."""
        failure = describe(error)
        if failure is not None:
            return f"raised {failure[0]}: {failure[1]}"
        if not self.options["result"]:
            return "returned"
        return "returned " + show(
            result, depth=self.options["depth"], length=self.options["length"], names=self.options["redact"]
        )
