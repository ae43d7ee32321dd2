"""Numbers as they are sent to the page and to programs."""

from __future__ import annotations

import math

from attnflow.errors import NumberError


def percent(share: float) -> str:
    """A share as a text in whole per cents."""
    return f"{100 * share:.0f} %"


def rounded(value: float) -> float:
    """A number with four significant digits.

    Raises:
        NumberError: If it is not finite: JSON has no such number, and a reader could do nothing with it.

    Example:
        >>> rounded(0.123456)
        0.1235
    """
    if not math.isfinite(value):
        raise NumberError(
            f"This checkpoint computes a number that is not finite ({value}) for this text; choose another checkpoint "
            "or another text."
        )
    return float(f"{value:.4g}")
