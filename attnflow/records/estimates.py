"""What an estimate from few values tells of itself: the bias of a standard deviation, Student's t, bounds of shares."""

from __future__ import annotations

from functools import lru_cache
from math import cos, exp, lgamma, pi, sin, sqrt

import numpy as np
from numpy.typing import NDArray


def c4(n: int) -> float:
    """What the standard deviation of `n` normal values is on average, as a share of the true one.

    Args:
        n: At least 2 values; their deviation is that with `n - 1` below.

    Example:
        >>> [round(c4(n), 4) for n in (2, 4, 16)]
        [0.7979, 0.9213, 0.9835]
    """
    return sqrt(2 / (n - 1)) * exp(lgamma(n / 2) - lgamma((n - 1) / 2))


@lru_cache
def t_quantile(probability: float, degrees: int) -> float:
    """What a variable with Student's t distribution stays below with a probability.

    Args:
        probability: Above 0.5 and below 1.
        degrees: Degrees of freedom, a whole number from 1: one less than there are values.

    Example:
        >>> round(t_quantile(0.975, 1), 3), round(t_quantile(0.95, 15), 3)
        (12.706, 1.753)
    """
    low, high = 0.0, pi / 2  # of the angle atan(t / sqrt(degrees)), where the distribution is smooth to its ends
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_within(middle, degrees) < 2 * probability - 1 else (low, middle)
    return sqrt(degrees) * sin(low) / cos(low)


def _t_within(angle: float, degrees: int) -> float:
    """The probability that |t| is below `sqrt(degrees) tan(angle)` (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    odd = degrees % 2
    term = total = cos(angle) if odd else 1.0
    for power in range(2 + odd, degrees - 1, 2):
        term *= (power - 1) / power * cos(angle) ** 2
        total += term
    if not odd:
        return sin(angle) * total
    return 2 / pi * (angle + (sin(angle) * total if degrees > 1 else 0.0))


def mean_relative_error(values: NDArray[np.floating], standard_error: NDArray[np.floating]) -> float:
    """Expected mean of `|estimate - exact| / exact` over all values above 0."""
    given = values > 0
    if not given.any():
        return 0.0
    # The mean absolute value of a normal variable is this many standard deviations.
    return float(np.sqrt(2 / np.pi) * (standard_error[given] / values[given]).mean())


def share_bounds(
    shares: NDArray[np.floating], standard_error: NDArray[np.floating], n: int, level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds between which the exact shares lie with a probability.

    They lie symmetrically around `log(c / (1 - c))` of a share `c`, because an error is about proportional to what is
    off, and so no bound is below 0 or above 1. The `t` of `n - 1` degrees takes the place of a normal variable,
    because the standard error itself is known from `n` values alone.

    Args:
        shares: Estimates from 0 to 1.
        standard_error: Theirs, without bias.
        n: Independent values that each of them is estimated from.
        level: The probability, such as 0.95.

    Returns:
        Lower and upper bounds, of the same shape; a share of 0 or 1 is its own bounds.
    """
    c = np.asarray(shares, np.float64)
    inside = (c > 0) & (c < 1)
    odds = np.divide(c, 1 - c, out=np.zeros_like(c), where=inside)
    width = t_quantile((1 + level) / 2, n - 1) * c4(n) * np.asarray(standard_error, np.float64)
    step = np.exp(np.divide(width, c * (1 - c), out=np.zeros_like(c), where=inside).clip(max=300))
    low, high = odds / step, odds * step
    return np.where(inside, low / (1 + low), c), np.where(inside, high / (1 + high), c)
