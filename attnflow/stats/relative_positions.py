"""Where, relative to itself, a token's attention or contribution lies: histograms and their centre of mass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import SelectionError
from attnflow.stats.agreement import check_same_heads


@dataclass(frozen=True)
class PositionsResult:
    """Mean value at each relative position, for each head."""

    offset: NDArray[np.int64]
    """`[2M - 1]`: position of the source minus that of the token: negative is earlier in the text."""
    mean: NDArray[np.float64]
    """`[L, H, 2M - 1]`: sum of the values at an offset, divided by how many pairs of tokens have it."""
    occurrences: NDArray[np.int64]
    """`[2M - 1]`: these numbers of pairs."""

    @property
    def centre_by_head(self) -> NDArray[np.float64]:
        """`[L, H]`: mean offset, weighted with `mean`, in tokens; NaN for a head without any value."""
        with np.errstate(invalid="ignore"):
            return (self.mean * self.offset).sum(-1) / self.mean.sum(-1)

    @property
    def centre(self) -> NDArray[np.float64]:
        """`[L]`: mean over the heads that have one; below 0 a layer looks back, above 0 ahead."""
        by_head = self.centre_by_head
        there = ~np.isnan(by_head)
        with np.errstate(invalid="ignore"):
            return np.where(there, by_head, 0).sum(1) / there.sum(1)


class RelativePositions:
    """Adds up `[L, H, T, T]` arrays by relative position; `update` each, `merge` parts, and take the `result`.

    Reference:
        Pascual, Brunner and Wattenhofer, *Telling BERT's Full Story*, section 7 and figures 2 to 5.
    """

    def __init__(self) -> None:
        self._sums: NDArray[np.float64] | None = None  # [L, H, 2M - 1], the offset 0 in the middle
        self._count = np.zeros(1, np.int64)

    def update(self, values: NDArray[np.floating]) -> RelativePositions:
        """Add the attention or the contributions of a pair, `[L, H, T, T]` as `[query, source]`.

        Raises:
            SelectionError: If layers or heads differ from those of earlier pairs.
        """
        size = values.shape[-1]
        offsets = range(1 - size, size)
        sums = np.stack([values.diagonal(o, 2, 3).sum(-1, dtype=np.float64) for o in offsets], axis=-1)
        return self._add(sums, np.asarray([size - abs(o) for o in offsets]))

    def merge(self, other: RelativePositions) -> RelativePositions:
        """Add what another accumulator has seen."""
        return self if other._sums is None else self._add(other._sums, other._count)

    def result(self) -> PositionsResult:
        """Means per occurrence over all pairs so far.

        Raises:
            SelectionError: If nothing was added.
        """
        if self._sums is None:
            raise SelectionError("No pair was added, so there is no histogram; add one with update first.")
        reach = len(self._count) // 2
        return PositionsResult(np.arange(-reach, reach + 1), self._sums / self._count, self._count.copy())

    def _add(self, sums: NDArray[np.float64], count: NDArray[np.int64]) -> RelativePositions:
        if self._sums is None:
            self._sums = np.zeros((*sums.shape[:2], 1))
        check_same_heads(self._sums.shape[:2], sums.shape[:2])
        missing = (len(count) - len(self._count)) // 2
        if missing > 0:
            self._sums = np.pad(self._sums, ((0, 0), (0, 0), (missing, missing)))
            self._count = np.pad(self._count, missing)
        inside = slice(max(0, -missing), len(self._count) - max(0, -missing))
        self._sums[..., inside] += sums
        self._count[inside] += count
        return self
