"""Which strategies may be used at all: ``MYSTIC_ALLOWED_STRATEGIES``, asked by both sides."""

from __future__ import annotations

from collections.abc import Iterable

from mystic_agent.contract.strategy import StrategySpec

ALWAYS = frozenset({"observe"})
"""What is done without any hijack as well."""


def disallowed(strategies: Iterable[StrategySpec], allowed: Iterable[str] | None) -> str:
    """Return why one of ``strategies`` may not be used, or an empty text.

    Args:
        allowed: names of the strategies that may be; None for all there are, empty for observing alone.
    """
    if allowed is None:
        return ""
    permitted = ALWAYS.union(allowed)
    for spec in strategies:
        if spec.name not in permitted:
            listed = ", ".join(sorted(permitted))
            return f"{spec.name} is not among MYSTIC_ALLOWED_STRATEGIES, which are {listed}"
    return ""
