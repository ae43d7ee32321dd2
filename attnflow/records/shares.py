"""How a share is written: in per cents, so that what is little does not read as nothing, nor what is most as all."""

from __future__ import annotations


def percent(share: float, digits: int = 0) -> str:
    """A share as a text in per cents; `percent` in `assets/page/shared/numbers.js` writes the same.

    Args:
        share: A part of 1, also below 0.
        digits: How many decimals it has.

    Returns:
        Such as `12 %`. What is above 0 and rounds to it is told as less than the least step, and what is below 1 and
        rounds to it as more than the step before.

    Example:
        >>> [percent(share) for share in (0, 0.002, 0.124, 0.998, 1, -0.002, -0.1)]
        ['0 %', '< 1 %', '12 %', '> 99 %', '100 %', '> −1 %', '−10 %']
        >>> percent(0.0002, 1), percent(0.9998, 1)
        ('< 0.1 %', '> 99.9 %')
    """
    size, step = abs(float(share)), 10.0**-digits
    told, bound = f"{100 * size:.{digits}f}", ""
    if size > 0 and float(told) == 0:
        told, bound = f"{step:.{digits}f}", "< "
    elif size < 1 and float(told) == 100:
        told, bound = f"{100 - step:.{digits}f}", "> "
    if share < 0:
        told, bound = f"−{told}", {"< ": "> ", "> ": "< "}.get(bound, "")
    return f"{bound}{told} %"


def between(low: float, high: float) -> str:
    """The bounds of a share, with one decimal.

    Example:
        >>> between(0.0004, 0.25)
        '< 0.1 % to 25.0 %'
    """
    return f"{percent(low, 1)} to {percent(high, 1)}"
