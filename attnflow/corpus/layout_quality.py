"""How far a layout in the plane keeps who is near whom: trustworthiness, continuity, and what is left of each point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnflow.corpus.survey_files import needed

MOST_NEIGHBOURS = 15
SAMPLE = 5_000
"""Points, drawn by a seed, of which trustworthiness and continuity are the means where there are more."""
_ROWS = 512
"""Points whose distances to all others are in memory at once."""


@dataclass(frozen=True)
class LayoutQuality:
    """What a layout keeps."""

    trustworthiness: float
    continuity: float
    preserved: NDArray[np.float64]
    """`[N]`"""


def neighbours_of(n: int) -> int:
    """How many neighbours a layout of `n` points, at least 3, is measured with: fewer than half of them."""
    return max(1, min(MOST_NEIGHBOURS, (n - 1) // 2))


def layout_quality(values: NDArray[np.floating], points: NDArray[np.floating], seed: int = 0) -> LayoutQuality:
    """Measure a layout with `neighbours_of(N)` neighbours.

    Trustworthiness is 1 if all neighbours of a point in the layout are among its neighbours in space, and less the
    further away those are that should not be there; continuity is the same with the roles swapped. Of more than 5,000
    points it is the mean over 5,000 of them, each against all.

    Args:
        values: `[N, D]`, at least 3.
        points: `[N, 2]`.
        seed: Draws the sample.

    Reference:
        Venna and Kaski 2001, as scikit-learn's `trustworthiness` (Euclidean). Points that are equally far count as
        equally near here, where scikit-learn takes them in the order in which it finds them.
    """
    size, k = len(values), neighbours_of(len(values))
    sampled = np.ones(size, bool)
    if size > SAMPLE:
        sampled[:] = False
        sampled[np.random.default_rng(seed).choice(size, SAMPLE, replace=False)] = True
    in_space, in_plane = _Distances(values), _Distances(points)
    preserved = np.empty(size)
    too_far = np.zeros(2)
    nearest = _nearest_in_plane(points, k)
    for start in range(0, size, _ROWS):
        rows = np.arange(start, min(start + _ROWS, size))
        far, near_flat = in_space.of(rows), nearest[rows]
        near_far = np.argpartition(far, k - 1, axis=1)[:, :k]
        preserved[rows] = (near_flat[:, :, None] == near_far[:, None]).any(2).mean(1)
        chosen = sampled[rows]
        too_far += [
            _beyond(far[chosen], near_flat[chosen], k),
            _beyond(in_plane.of(rows[chosen]), near_far[chosen], k),
        ]
    worst = sampled.sum() * k * (2 * size - 3 * k - 1) / 2
    trustworthiness, continuity = (1 - too_far / worst).tolist()
    return LayoutQuality(trustworthiness, continuity, preserved)


def _nearest_in_plane(points: NDArray[np.floating], k: int) -> NDArray[np.intp]:
    """`[N, k]`: for each point the `k` that are nearest to it."""
    tree = needed("scipy.spatial", "scikit-learn").KDTree(points)
    _, found = tree.query(points, k + 1)
    # Of points in one place another may come first, and the point itself not at all.
    order = np.argsort(found == np.arange(len(points))[:, None], axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1)[:, :k]


class _Distances:
    """Squared distances between points, in single precision, a few rows at a time."""

    def __init__(self, values: NDArray[np.floating]) -> None:
        self.values = np.ascontiguousarray(values - values.mean(0), np.float32)
        self.squares = np.einsum("nd,nd->n", self.values, self.values)

    def of(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """`[rows, N]`; infinity between a point and itself."""
        found = self.squares[rows, None] + self.squares - 2 * self.values[rows] @ self.values.T
        found[np.arange(len(rows)), rows] = np.inf
        return found


def _beyond(distances: NDArray[np.float32], others: NDArray[np.intp], k: int) -> float:
    """By how many places in all some points are further away than the `k` nearest.

    Args:
        distances: `[rows, N]`
        others: `[rows, k]`: the points in question.
        k: Places that are near.
    """
    limits = np.take_along_axis(distances, others, axis=1)
    total = 0.0
    for column in range(k):
        place = (distances < limits[:, column, None]).sum(1) + 1
        total += float(np.maximum(place - k, 0).sum())
    return total
