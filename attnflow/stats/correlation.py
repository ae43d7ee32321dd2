"""Pearson's correlation and ranks, along the last axis of arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def pearson(one: ArrayLike, other: ArrayLike) -> NDArray[np.float64]:
    """Pearson's correlation along the last axis; NaN where one of the two is constant.

    Example:
        >>> float(pearson([1, 2, 3], [2, 4, 6]).round(6))
        1.0
    """
    arrays = (np.asarray(part, np.float64) for part in (one, other))
    left, right = (array - array.mean(-1, keepdims=True) for array in arrays)
    spread = np.sqrt((left**2).sum(-1) * (right**2).sum(-1))
    return np.where(spread > 1e-14, (left * right).sum(-1) / np.where(spread > 0, spread, 1), np.nan)


def ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Ranks from 1 along the last axis; equal values share the mean of theirs.

    Example:
        >>> ranks([0.3, 0.1, 0.3]).tolist()
        [2.5, 1.0, 2.5]
    """
    values = np.asarray(values, np.float64)
    own, others = values[..., :, None], values[..., None, :]
    return (others < own).sum(-1) + ((others == own).sum(-1) + 1) / 2


def spearman(one: ArrayLike, other: ArrayLike) -> NDArray[np.float64]:
    """Spearman's rank correlation along the last axis; NaN where one of the two is constant."""
    return pearson(ranks(one), ranks(other))
