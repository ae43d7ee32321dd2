"""What a share of cases tells: its interval, and whether two shares of the same cases differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_Z = 1.959963984540054
"""Two-sided 95 % of the normal distribution."""


@dataclass(frozen=True)
class Proportion:
    """How many of some cases are so."""

    right: int
    n: int

    @property
    def share(self) -> float:
        """From 0 to 1; NaN of no cases."""
        return self.right / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of Wilson (1927); from 0 to 1 where there are no cases.

        Cases count as independent, which words of one sentence are not quite, so it is somewhat too narrow.
        """
        if not self.n:
            return 0.0, 1.0
        share, squared = self.share, _Z**2
        middle = (share + squared / (2 * self.n)) / (1 + squared / self.n)
        half = _Z / (1 + squared / self.n) * math.sqrt(share * (1 - share) / self.n + squared / (4 * self.n**2))
        return max(0.0, middle - half), min(1.0, middle + half)


def mcnemar(only_a: int, only_b: int) -> float:
    """The p-value of McNemar's exact test: that two are right equally often, of the cases where one of them is.

    Args:
        only_a: Cases in which A is right and B is wrong.
        only_b: The reverse.

    Reference:
        McNemar, *Note on the sampling error of the difference between correlated proportions* (1947); exact, two-sided,
        by the binomial distribution.
    """
    n, fewer = only_a + only_b, min(only_a, only_b)
    if not n:
        return 1.0
    log_half = n * math.log(0.5)
    logs = (log_half + math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(fewer + 1))
    return min(1.0, 2 * math.fsum(map(math.exp, logs)))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for how many there are, in their order: each is below a level where Holm's procedure rejects.

    Reference:
        Holm, *A simple sequentially rejective multiple test procedure* (1979).

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    found, most = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda one: p_values[one])):
        most = max(most, min(1.0, (len(p_values) - rank) * p_values[place]))
        found[place] = most
    return found
