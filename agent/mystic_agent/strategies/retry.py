"""retry: a call that fails is made again, after a wait that grows, for as long as there is budget.

The wait before the n-th retry is drawn evenly from 0 to ``base`` times 2 to the power of n-1, at most ``longest``, so
that callers who failed together do not come back together ("full jitter"; M. Brooker, "Exponential Backoff And
Jitter", AWS Architecture Blog, 2015). The budget is shared by all calls of the function in this process: each call
adds a share of one retry, each retry takes one, so that retries cannot multiply the load on what is down already.

What the last attempt raises reaches the caller as the same object. A function that must not run twice must not
have this strategy: nobody can tell from outside.
"""

from __future__ import annotations

import _thread
import random as chance
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mystic_agent.guard import FAULTS
from mystic_agent.strategies import Stage, Subject
from mystic_agent.strategies.decision import decisions
from mystic_agent.strategies.kept import kept
from mystic_agent.strategies.pause import pause, sleep
from mystic_agent.strategies.raised import Kinds

_PARTS = 1_000_000


def refuse(subject: Subject, options: Mapping[str, Any]) -> str:
    """What a generator has yielded cannot be taken back."""
    if subject.kind in ("generator", "async_generator"):
        return (
            f"retry cannot call {subject.kind.replace('_', ' ')} functions again: their caller has had a part already"
        )
    return ""


def make(
    subject: Subject,
    options: Mapping[str, Any],
    following: Stage,
    *,
    random: Callable[[], float] = chance.random,
    sleep: Callable[[float], object] = sleep,
    wait: Callable[[float], Awaitable[bool]] = pause,
) -> Stage:
    """Return a stage that calls again what fails.

    Args:
        random: returns a share from 0 up to 1.
        sleep: blocks for so many seconds.
        wait: the same for coroutines.
    """
    policy = _Policy(subject, options, random)

    async def retried_async(*values: Any) -> Any:
        attempts = None
        while True:
            try:
                result = await following(*values)
            except FAULTS as error:
                attempts = attempts or _Attempts(policy)
                if attempts.over(error):
                    raise
            else:
                policy.succeeded(attempts is None)
                return result
            await wait(attempts.pause)  # outside of the handler, so that the next failure does not hang on this one

    def retried(*values: Any) -> Any:
        attempts = None
        while True:
            try:
                result = following(*values)
            except FAULTS as error:
                attempts = attempts or _Attempts(policy)
                if attempts.over(error):
                    raise
            else:
                policy.succeeded(attempts is None)
                return result
            sleep(attempts.pause)

    return retried_async if subject.kind == "coroutine" else retried


class Budget:
    """How many retries may still be made: ``reserve`` at first and at most, ``share`` more for every call."""

    def __init__(self, share: float, reserve: int) -> None:
        self._share = round(share * _PARTS)
        self._most = reserve * _PARTS
        self._left = self._most
        self._lock = _thread.RLock()

    def earn(self) -> None:
        """Take note of a call; while nothing was spent there is nothing to add, and no lock to take."""
        if self._left >= self._most:
            return
        with self._lock:
            self._left = min(self._most, self._left + self._share)

    def spend(self) -> bool:
        """Take one retry; False when there is none."""
        with self._lock:
            if self._left < _PARTS:
                return False
            self._left -= _PARTS
            return True

    def reset(self) -> None:
        """Take a new lock, as a forked child must."""
        self._lock = _thread.RLock()


class _Policy:
    """Whether, and after how long, a call is made again."""

    def __init__(self, subject: Subject, options: Mapping[str, Any], random: Callable[[], float]) -> None:
        self.budget = kept(subject, "retry", options, lambda: Budget(options["budget"], options["reserve"]))
        self.attempts: int = options["attempts"]
        self.base, self.longest = options["base"], options["longest"]
        self.wanted, self.excluded = Kinds(options["exceptions"]), Kinds(options["exclude"])
        self.random, self.guard = random, subject.guard
        self.passed, self.retried, self.recovered = decisions(subject, "retry", "passed", "retried", "recovered")
        self.exhausted, self.over_budget, self.not_retried = decisions(
            subject, "retry", "exhausted", "over_budget", "not_retried"
        )

    def succeeded(self, at_once: bool) -> None:
        """Take note of a call that returned at its first attempt or a later one."""
        try:
            if at_once:
                self.budget.earn()
                self.passed()
            else:
                self.recovered()
        except FAULTS as fault:  # not by the guard's run, which would be one call more
            self.guard.note("retry", fault)

    def failed(self, error: Exception, attempt: int) -> float | None:
        """Return the seconds to wait before the next attempt, or None when there is to be none."""
        if attempt == 1:
            self.budget.earn()
        if self.excluded.has(error) or not self.wanted.has(error):
            self.not_retried()
        elif attempt >= self.attempts:
            self.exhausted()
        elif not self.budget.spend():
            self.over_budget()
        else:
            seconds = float(self.random() * min(self.longest, self.base * 2.0 ** (attempt - 1)))
            self.retried()
            return seconds
        return None


class _Attempts:
    """One call that has failed, and the attempts at it.

    Attributes:
        pause: seconds to wait before the next attempt.
    """

    __slots__ = ("_number", "_policy", "pause")

    def __init__(self, policy: _Policy) -> None:
        self._policy = policy
        self._number = 1
        self.pause = 0.0

    def over(self, error: Exception) -> bool:
        """Take a failed attempt; True when there is to be no other, also when it is us who fail."""
        seconds = self._policy.guard.run("retry", self._policy.failed, None, error, self._number)
        if seconds is None:
            return True
        self._number += 1
        self.pause = seconds
        return False
