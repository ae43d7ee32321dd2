"""Where, relative to itself, a token's attention or contribution lies: histograms and their centre of mass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from attnflow.stats.statistic import Statistic, read_only, running, standard_error
from attnflow.stats.text_maps import Lengths


@dataclass(frozen=True)
class PositionsResult:
    """Mean value at each relative position, for each head."""

    offset: NDArray[np.int64]
    """`[2M - 1]`: position of the source minus that of the token: negative is earlier in the text."""
    mean: NDArray[np.float64]
    """`[L, H, 2M - 1]`: sum of the values at an offset, divided by how many pairs of tokens have it."""
    occurrences: NDArray[np.int64]
    """`[2M - 1]`: these numbers of pairs."""
    standard_error: NDArray[np.float64]
    """`[L, H, 2M - 1]`: of the mean, over texts; NaN at offsets that fewer than two texts have."""
    n: int
    """Texts."""

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


@dataclass(eq=False)
class RelativePositions(Statistic):
    """Adds up `[L, H, T, T]` arrays by relative position; `update` each, `merge` parts, and take the `result`.

    All sums have the offset 0 in the middle: a longer text adds offsets at both ends.

    Reference:
        Pascual, Brunner and Wattenhofer, *Telling BERT's Full Story*, section 7 and figures 2 to 5.
    """

    total: NDArray[np.float64] = running()
    """`[L, H, 2M - 1]`: the sum of the values at an offset."""
    squared: NDArray[np.float64] = running()
    """`[L, H, 2M - 1]`: the sum over texts of the square of what a text adds to `total`."""
    by_count: NDArray[np.float64] = running()
    """`[L, H, 2M - 1]`: the sum over texts of what a text adds to `total`, times what it adds to `count`."""
    count: NDArray[np.int64] = running(np.int64)
    """`[2M - 1]`: pairs of tokens at an offset."""
    count_squared: NDArray[np.int64] = running(np.int64)
    """`[2M - 1]`: the sum over texts of the square of what a text adds to `count`."""
    texts: NDArray[np.int64] = running(np.int64)
    """`[2M - 1]`: texts that are long enough to have an offset."""

    def update(self, values: NDArray[np.floating], *, lengths: Lengths | None = None) -> Self:
        """Add the attention or the contributions of a pair, `[L, H, T, T]` as `[query, source]`, or of a batch.

        Args:
            values: `[L, H, T, T]`, or `[N, L, H, T, T]`.
            lengths: `[N]`: the tokens of each text of a batch that is padded on the right.

        Raises:
            SelectionError: If layers or heads differ from those of earlier pairs.
        """
        for text in self._texts(values, lengths, "What is added up by position"):
            size: int = text.shape[-1]
            total = _by_offset(text)
            count: NDArray[np.int64] = np.array([size - abs(offset) for offset in range(1 - size, size)])
            self._add_text(
                text,
                total=total,
                squared=total**2,
                by_count=total * count,
                count=count,
                count_squared=count**2,
                texts=np.ones_like(count),
            )
        return self

    def result(self) -> PositionsResult:
        """Means per occurrence over all pairs so far.

        Raises:
            SelectionError: If nothing was added.
        """
        self._check_any()
        reach = len(self.count) // 2
        error = standard_error(self.texts, self.total, self.squared, self.count, self.by_count, self.count_squared)
        arrays = np.arange(-reach, reach + 1), self.total / self.count, self.count.copy(), error
        return PositionsResult(*map(read_only, arrays), n=self.n)

    def _place(self, size: int, part: int) -> slice:
        """In the middle, so that equal offsets meet."""
        return slice((size - part) // 2, (size + part) // 2)


def _by_offset(text: NDArray[np.floating]) -> NDArray[np.float64]:
    """`[L, H, 2T - 1]`: sums along the diagonals of `[L, H, T, T]`, from the first offset `1 - T` to the last.

    Rows of twice the length are laid one after another and cut anew, one shorter: each is then one further to the
    right, so that diagonals stand in columns.
    """
    *heads, size, _ = text.shape
    wide = np.zeros((*heads, size, 2 * size), text.dtype)
    wide[..., :size] = text[..., ::-1, :]
    shifted = wide.reshape(*heads, -1)[..., : size * (2 * size - 1)].reshape(*heads, size, 2 * size - 1)
    return shifted.sum(-2, dtype=np.float64)
