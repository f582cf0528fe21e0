"""How strongly a run of observations speaks against something being as good as it should be. Pure.

Wald's sequential probability ratio (A. Wald, "Sequential Tests of Statistical Hypotheses", 1945), one-sided: what is
allowed to be bad, against twice the odds. As long as no more than the allowed share is bad, the balance passes
``log(1 / ALARM)`` with a probability of ALARM at most, however often one looks and however long it lasts (Ville's
inequality). So it may be asked after every single observation, and needs no number of observations fixed before.

A long good past must not hide that it has become worse: the balance falls no lower than FLOOR. That lets the
probability grow with the number n of observations, to ALARM + n * ALARM**3 at most.
"""

from __future__ import annotations

from math import inf, log, log1p

ALARM = 0.001
"""Probability, at most, with which something that is as good as it should be is ever found to be worse."""

FLOOR = -2 * log(1 / ALARM)
LIMIT = log(1 / ALARM)
"""Of the balance: from here on it speaks against."""

_TWICE = log(2)


class Evidence:
    """One run of observations.

    Attributes:
        seen, bad: how many there were, and how many of them were bad.
        balance: the logarithm of how much better "twice the odds" explains them than "as allowed".
    """

    __slots__ = ("_allowed", "_step", "bad", "balance", "seen")

    def __init__(self) -> None:
        self.seen = self.bad = 0
        self.balance = 0.0
        self._allowed, self._step = 0.0, 0.0  # the logarithm for what was allowed the last time: mostly the same

    def see(self, bad: bool, allowed: float) -> None:
        """Take one observation, which was allowed to be bad with the probability ``allowed``."""
        self.seen += 1
        self.bad += bad
        if allowed <= 0:
            self.balance = inf if bad else self.balance
        elif allowed < 1:
            if allowed != self._allowed:
                self._allowed, self._step = allowed, log1p(allowed)
            balance = (self.balance + _TWICE if bad else self.balance) - self._step
            self.balance = balance if balance > FLOOR else FLOOR

    @property
    def against(self) -> bool:
        """True when it is worse than allowed, but for a probability of ALARM."""
        return self.balance >= LIMIT

    @property
    def reassuring(self) -> bool:
        """True when "as allowed" explains the observations at least as well."""
        return self.balance <= 0
