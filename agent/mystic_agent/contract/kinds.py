"""Which strategies no function of a kind can have, as far as the kind alone decides it.

The agent decides on the function itself; this is what can be told beforehand, where only its report is known.
"""

from __future__ import annotations

from mystic_agent.contract.strategy import StrategySpec

_GENERATORS = ("generator", "async_generator")
_NO_GENERATORS = frozenset({"ab", "cache", "circuit_breaker", "log", "redirect", "retry", "rollout"})


def unfit(spec: StrategySpec, kind: str, qualname: str = "") -> str:
    """Return why a function of ``kind`` cannot have ``spec``, or an empty text when that is not known.

    Args:
        kind: one of :data:`mystic_agent.contract.report.KINDS`, or empty.
        qualname: of the function.
    """
    if spec.name == "observe":
        return ""
    if kind == "native":
        return "it is implemented in C and can only be observed"
    if "<locals>" in qualname:
        return "it is made anew at each call of the function around it, so it can only be observed"
    called = kind.replace("_", " ")
    if kind in _GENERATORS and spec.name in _NO_GENERATORS:
        return f"{spec.name} is not for {called} functions"
    if spec.name == "timeout" and kind and kind != "coroutine" and not spec.options["parameter"]:
        return f"timeout cannot end {called} functions; name their own time limit by timeout.parameter"
    if spec.name == "mock" and kind in _GENERATORS and spec.options["yields"] is None and not spec.options["exception"]:
        return f"mock needs yields, the list of what it yields, for {called} functions"
    if spec.name == "mock" and kind not in ("", *_GENERATORS) and spec.options["yields"] is not None:
        return f"mock.yields is for generator functions, and this is a {called}"
    if spec.name == "rate_limit" and kind not in ("", "coroutine") and spec.options["wait"]:
        return f"rate_limit.wait is for coroutine functions, and this is a {called}"
    if spec.name == "fault" and kind == "async_generator" and spec.options["latency"]:
        return "fault.latency cannot delay async generator functions"
    return ""
