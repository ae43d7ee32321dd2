"""What the matrix of heads shows: importance on a scale from 0 to 1, and attention averaged over many texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnflow.errors import SelectionError
from attnflow.stats.correlation import ranks
from attnflow.stats.statistic import MeanResult, Statistic, read_only, running, standard_error
from attnflow.stats.text_maps import Lengths

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


def places(importance: ArrayLike) -> NDArray[np.float64]:
    """For each head its place in the order of importance, `[L, H]` from 0, the least, to 1; equal heads share theirs.

    Args:
        importance: `[L, H]`.

    Example:
        >>> places([[0.0, 4.0], [1.0, 1.0]]).tolist()
        [[0.0, 1.0], [0.5, 0.5]]
    """
    values = np.array(importance, np.float64)
    return ((ranks(values.ravel()) - 1) / max(values.size - 1, 1)).reshape(values.shape)


@dataclass(eq=False)
class MeanAttention(Statistic):
    """Attention of each head averaged over many texts, position by position: an accumulator.

    Each cell is divided by how many texts have both of its positions, so that long texts, which are few, do not fade.
    """

    missing: ClassVar[str] = "There is no text to average over; add at least one."
    total: NDArray[np.float64] = running()
    """`[L, H, T, T]`, of the longest text so far: the sum over texts."""
    squared: NDArray[np.float64] = running()
    """`[L, H, T, T]`: the sum of squares."""
    count: NDArray[np.int64] = running(np.int64)
    """`[T, T]`: texts that have both positions."""

    def update(self, attention: ArrayLike, *, lengths: Lengths | None = None) -> Self:
        """Add the attention of one text, `[L, H, T, T]`, or of a batch.

        Args:
            attention: `[L, H, T, T]`, or `[N, L, H, T, T]`.
            lengths: `[N]`: the tokens of each text of a batch that is padded on the right.

        Raises:
            SelectionError: If layers or heads differ from those of earlier texts.
        """
        for text in self._texts(attention, lengths):
            values = text.astype(np.float64, copy=False)
            self._add_text(text, total=values, squared=values**2, count=np.ones(text.shape[-2:], np.int64))
        return self

    def result(self) -> MeanResult:
        """`[L, H, T, T]`: the mean; NaN where no text has both positions.

        Raises:
            SelectionError: If there was no text.
        """
        self._check_any()
        with np.errstate(invalid="ignore"):
            mean = self.total / self.count
        return MeanResult(read_only(mean), read_only(standard_error(self.count, self.total, self.squared)), self.n)
