"""Numbers as they are sent to the page and to programs."""

from __future__ import annotations

import math

from attnflow.errors import NumberError


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


def rounded_share(share: float) -> float:
    """The same of a share, or of what it lacks to 1 where it would be all of it: what is below 1 stays below.

    Example:
        >>> rounded_share(0.123456), rounded_share(0.9999612), rounded_share(1)
        (0.1235, 0.9999612, 1.0)
    """
    near = rounded(share)
    return near if near != 1 or share == 1 else 1 - rounded(1 - share)
