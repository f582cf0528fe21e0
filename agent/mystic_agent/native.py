"""C functions and builtins: they have no Python code to swap, so wrapt stands in for the attribute.

Only callers that look the attribute up are reached; references taken earlier are named instead.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from time import perf_counter_ns
from types import ModuleType
from typing import Any

from mystic_agent.observe.meter import Meter
from mystic_agent.observe.span import place_now

MOST_REFERENCES = 50


class Native:
    """A C callable found under an attribute of a module or class.

    Attributes:
        holder: the module or class.
        attribute: its name there.
        original: the callable itself.
    """

    def __init__(self, holder: Any, attribute: str, original: Callable[..., Any]) -> None:
        self.holder = holder
        self.attribute = attribute
        self.original = original
        self._wrapper: Any = None

    def install(self, meter: Meter) -> None:
        """Observe calls through the attribute.

        Raises:
            TypeError: when the holder is an immutable type.
        """
        from wrapt import FunctionWrapper

        now, pulse = perf_counter_ns, meter.tracer.pulse

        def observed(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
            place, span, _ = pulse.enter(meter, place_now.get()) if pulse.live else (None, None, None)
            started = now()
            try:
                result = wrapped(*args, **kwargs)
            except BaseException as error:
                meter.fail(started, error, place, span)
                raise
            meter.succeed(now() - started, place, span)
            return result

        self._wrapper = FunctionWrapper(self.original, observed)
        setattr(self.holder, self.attribute, self._wrapper)

    def release(self) -> bool:
        """Put the original back; False when somebody else's is there and was left alone."""
        if self._wrapper is None:
            return True
        if vars(self.holder).get(self.attribute) is not self._wrapper:
            return False
        setattr(self.holder, self.attribute, self.original)
        self._wrapper = None
        return True

    def missed(self) -> tuple[str, ...]:
        """Name the references that are not reached: other modules that hold the original under some name."""
        found = []
        for referrer in gc.get_referrers(self.original):
            if type(referrer) is dict and referrer is not vars(self.holder):
                name = referrer.get("__name__")
                module = sys.modules.get(name) if type(name) is str else None
                if module is not None and vars(module) is referrer:
                    found += [f"{name}.{key}" for key, value in referrer.items() if value is self.original]
        return tuple(sorted(found)[:MOST_REFERENCES])


def find(module: ModuleType, qualname: str) -> Native | None:
    """Return the C callable under ``qualname`` in ``module``, or None when there is none."""
    holder: Any = module
    *path, attribute = qualname.split(".")
    for part in path:
        holder = vars(holder).get(part)
        if not isinstance(holder, type):
            return None
    value = vars(holder).get(attribute)
    if type(value).__name__ in ("builtin_function_or_method", "method_descriptor", "wrapper_descriptor", "type"):
        return Native(holder, attribute, value) if not isinstance(value, type) else None
    return None
