"""How differently heads attend: the Jensen-Shannon divergence of every two of a model, and a map of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnflow.errors import SelectionError
from attnflow.extras import needed
from attnflow.records.trace import is_whole
from attnflow.stats.statistic import Statistic, read_only, running, standard_error
from attnflow.stats.text_maps import Lengths

STARTS = 8
"""Random layouts that the map is improved from; the best end counts."""
_BLOCK = 1 << 16
"""Weights of all heads that are worked on at once: few enough for the processor's cache."""
_ALMOST_0 = 1e-30
"""Added to weights whose logarithm is taken; it changes no sum that has a digit."""


@dataclass(frozen=True)
class HeadMap:
    """The heads of a model in the plane, such that similar ones lie together."""

    points: NDArray[np.float64]
    """`[L * H, 2]`: their centre is 0; axes and directions mean nothing."""
    stress: float
    """Kruskal's stress 1, `sqrt(sum (d - D)^2 / sum d^2)` over pairs of heads: `d` in the plane, `D` the divergence; 0
    if the plane shows all of it."""


@dataclass(frozen=True)
class HeadDistancesResult:
    """Jensen-Shannon divergence between all heads, in nats: 0 for equal ones, `ln 2` if they share no token.

    Head `h` of layer `l` is number `l * H + h`.
    """

    distance: NDArray[np.float64]
    """`[L * H, L * H]`: mean over the rows of a text, then over texts."""
    standard_error: NDArray[np.float64]
    """`[L * H, L * H]`: over texts; NaN for a single text."""
    total: NDArray[np.float64]
    """`[L * H, L * H]`: the sum over all rows of all texts, as in Clark et al.; long texts count more."""
    n_layers: int
    n_heads: int
    n: int
    """Texts."""

    def embed(self, seed: int = 0) -> HeadMap:
        """Lay the heads out in the plane by metric multidimensional scaling (SMACOF, the best of several starts).

        Args:
            seed: Of the starts; the same seed gives the same map.

        Raises:
            SelectionError: If the seed is no whole number from 0, or scikit-learn is not installed.
        """
        if not is_whole(seed) or not 0 <= seed < 2**32:
            raise SelectionError(f"seed is {seed!r}; give a whole number from 0 to {2**32 - 1}.")
        if not self.distance.any():  # a single head, or equal ones
            return HeadMap(read_only(np.zeros((len(self.distance), 2))), 0.0)
        manifold: Any = needed("sklearn.manifold", "scikit-learn")
        options = {"n_components": 2, "n_init": STARTS, "max_iter": 1000, "eps": 1e-9, "random_state": seed}
        points: NDArray[np.float64] = manifold.smacof(self.distance, normalized_stress=False, **options)[0]
        points = points - points.mean(0)
        shown = np.linalg.norm(points[:, None] - points, axis=-1)
        return HeadMap(read_only(points), float(np.sqrt(((shown - self.distance) ** 2).sum() / (shown**2).sum())))


@dataclass(eq=False)
class HeadDistances(Statistic):
    """Adds up the divergence between every two heads of a model, so that each text weighs the same.

    Reference:
        Clark et al., *What Does BERT Look At?*, section 6 and figure 6. They sum over all rows (`total`), after mixing
        each row with a little even attention, which is left out here.

    Example:
        >>> even, own = np.full((4, 4), 1 / 4), np.eye(4)
        >>> HeadDistances().update(np.stack([even, own])[None]).result().distance.round(4)
        array([[0.    , 0.3804],
               [0.3804, 0.    ]])
    """

    mean: NDArray[np.float64] = running()
    """`[L * H, L * H]`: the sum over texts of the mean over a text's rows."""
    squared: NDArray[np.float64] = running()
    """`[L * H, L * H]`: the sum of its squares."""
    total: NDArray[np.float64] = running()
    """`[L * H, L * H]`: the sum over all rows."""

    def update(self, attention: ArrayLike, *, lengths: Lengths | None = None) -> Self:
        """Add a text or a batch.

        Args:
            attention: `[L, H, T, T]` as `[query, key]`, rows sum to 1; or a batch `[N, L, H, T, T]`.
            lengths: `[N]`: the tokens of each text of a batch that is padded on the right.

        Raises:
            SelectionError: If a row does not sum to 1, or layers or heads differ from those of earlier texts.
        """
        for text in self._texts(attention, lengths, rows_sum_to_1=True):
            total = divergences(text.reshape(-1, *text.shape[2:]))
            mean = total / text.shape[-1]
            self._add_text(text, mean=mean, squared=mean**2, total=total)
        return self

    def result(self) -> HeadDistancesResult:
        """Means over all texts so far.

        Raises:
            SelectionError: If nothing was added.
        """
        self._check_any()
        error = standard_error(self.n, self.mean, self.squared)
        arrays = map(read_only, (self.mean / self.n, error, self.total.copy()))
        return HeadDistancesResult(*arrays, n_layers=self.n_layers, n_heads=self.n_heads, n=self.n)


def divergences(maps: NDArray[np.floating]) -> NDArray[np.float64]:
    """Jensen-Shannon divergence between every two maps, summed over their rows, in nats.

    With `f(x) = x ln x` and `s = a + b` it is `1/2 sum (f(a) + f(b) - f(s) + s ln 2)`: one logarithm for each weight of
    each pair. Each map is taken with the one `shift` places further on, all maps at once, for half of all shifts.

    Args:
        maps: `[M, T, T]`

    Returns:
        `[M, M]`, symmetric, 0 on the diagonal.
    """
    count = len(maps)
    flat = maps.reshape(count, -1).astype(np.result_type(maps, np.float32), copy=False)
    somewhere = flat.any(0)
    flat = flat if somewhere.all() else flat[:, somewhere]  # half of all weights in a causal model
    own, sums = np.zeros(count), np.zeros(count)
    shifts = np.arange(1, count // 2 + 1)
    of_sums = np.zeros((len(shifts), count))
    width = max(1, _BLOCK // count)
    for start in range(0, flat.shape[1], width):
        block = flat[:, start : start + width] + flat.dtype.type(_ALMOST_0)
        twice = np.concatenate([block, block])
        added, logarithm = np.empty_like(block), np.empty_like(block)
        own += np.vecdot(block, np.log(block, out=logarithm))
        sums += block.sum(1, dtype=np.float64)
        for row, shift in enumerate(shifts.tolist()):
            np.add(block, twice[shift : shift + count], out=added)
            of_sums[row] += np.vecdot(added, np.log(added, out=logarithm))
    one = np.broadcast_to(np.arange(count), of_sums.shape)
    other = (one + shifts[:, None]) % count
    pairs = (own[one] + own[other] - of_sums + (sums[one] + sums[other]) * np.log(2)) / 2
    found = np.zeros((count, count))
    found[one, other] = found[other, one] = np.maximum(pairs, 0)
    return found
