"""What the matrix of heads shows: importance on a scale from 0 to 1, and attention averaged over many texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnflow.errors import SelectionError

Scale = Literal["all", "layer"]


def normalise_importance(importance: ArrayLike, scale: Scale = "all") -> NDArray[np.float64]:
    """Head importance for display, `[L, H]` from 0 to 1; if all heads are equal, 0.

    Args:
        importance: `[L, H]`, raw.
        scale: `all`: the least and the most important head become 0 and 1 (T3-Vis). `layer`: each layer is first
            divided by its L2 norm, so that layers compare (Michel et al. 2019, section 3), then the same.

    Raises:
        SelectionError: If there is no such scale, or a number is missing.

    Example:
        >>> normalise_importance([[0.0, 4.0], [1.0, 2.0]])
        array([[0.  , 1.  ],
               [0.25, 0.5 ]])
    """
    values = np.array(importance, np.float64)
    if scale not in get_args(Scale):
        raise SelectionError(f"There is no scale {str(scale)[:60]!r}; choose all or layer.")
    if values.ndim != 2 or not np.isfinite(values).all():
        raise SelectionError("Importance must be a table of numbers, [layer, head]; some are missing.")
    if scale == "layer":
        norms = np.linalg.norm(values, axis=1, keepdims=True)
        values = np.divide(values, norms, out=np.zeros_like(values), where=norms > 0)
    low, span = values.min(), np.ptp(values)
    return (values - low) / span if span > 0 else np.zeros_like(values)


@dataclass
class MeanAttention:
    """Attention of each head averaged over many texts, position by position: an accumulator.

    Each cell is divided by how many texts have both of its positions, so that long texts, which are few, do not fade.
    """

    total: NDArray[np.float64] | None = None
    """`[L, H, T, T]`, of the longest text so far."""
    count: NDArray[np.int64] | None = None
    """`[T, T]`"""

    def update(self, attention: NDArray[np.floating]) -> None:
        """Add the attention of one text, `[L, H, T, T]`."""
        size = attention.shape[-1]
        self._add(np.asarray(attention, np.float64), np.ones((size, size), np.int64))

    def merge(self, other: MeanAttention) -> None:
        """Add what another accumulator has seen."""
        if other.total is not None and other.count is not None:
            self._add(other.total, other.count)

    def result(self) -> NDArray[np.float64]:
        """`[L, H, T, T]`: the mean; NaN where no text has both positions.

        Raises:
            SelectionError: If there was no text.
        """
        if self.total is None or self.count is None:
            raise SelectionError("There is no text to average over; add at least one.")
        with np.errstate(invalid="ignore"):
            return self.total / self.count

    def _add(self, total: NDArray[np.float64], count: NDArray[np.int64]) -> None:
        if self.total is None or self.count is None:
            self.total, self.count = np.zeros((*total.shape[:2], 0, 0)), np.zeros((0, 0), np.int64)
        if self.total.shape[:2] != total.shape[:2]:
            raise SelectionError(
                f"One text was read by {self.total.shape[:2]} layers and heads, another by {total.shape[:2]}; "
                "average over one checkpoint."
            )
        longest = max(len(count), len(self.count))
        self.total, total = (_grown(array, longest) for array in (self.total, total))
        self.count, count = (_grown(array, longest) for array in (self.count, count))
        self.total = self.total + total
        self.count = self.count + count


def _grown(array: NDArray, size: int) -> NDArray:
    more = size - array.shape[-1]
    return np.pad(array, [(0, 0)] * (array.ndim - 2) + [(0, more), (0, more)])
