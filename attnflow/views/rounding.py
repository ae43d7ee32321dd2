"""Numbers as they are sent to the page and to programs."""

from __future__ import annotations


def rounded(value: float) -> float:
    """A number with four significant digits.

    Example:
        >>> rounded(0.123456)
        0.1235
    """
    return float(f"{value:.4g}")
