"""How far the methods that explain one score rank its tokens alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attnflow.methods.saliency.results import Saliency
from attnflow.stats.correlation import spearman


def rank_correlations(found: Sequence[Saliency], words: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Rank correlation of every two methods over the tokens that stand for text.

    Args:
        found: `M` answers for one text.
        words: `[T]`: the tokens that count; special tokens would decide the correlation by themselves.

    Returns:
        `[M, M]`, symmetric. Two signed methods are compared with their signs; where one of the two has none, by
        magnitude. NaN where a method gives every token the same.
    """
    table = np.ones((len(found), len(found)))
    for i, one in enumerate(found):
        for j, other in enumerate(found):
            x, y = one.values[words], other.values[words]
            if not (one.method.signed and other.method.signed):
                x, y = np.abs(x), np.abs(y)
            table[i, j] = spearman(x, y)
    return table
