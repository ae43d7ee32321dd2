"""How far the methods that explain one score rank its words alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attnflow.methods.saliency.ranked import by_unit
from attnflow.methods.saliency.results import Saliency
from attnflow.stats.correlation import spearman


def rank_correlations(found: Sequence[Saliency], units: NDArray[np.intp]) -> NDArray[np.float64]:
    """Rank correlation of every two methods over the units of a text.

    Args:
        found: `M` answers for one text.
        units: `[T]`: see `units_of`; special tokens are in none, or they would decide the correlation by themselves.

    Returns:
        `[M, M]`, symmetric. Two signed methods are compared with their signs; where one of the two has none, by
        magnitude. NaN where a method gives every unit the same.
    """
    table = np.ones((len(found), len(found)))
    values = [by_unit(one.values, units) for one in found]
    for i, one in enumerate(found):
        for j, other in enumerate(found):
            signed = one.method.signed and other.method.signed
            x, y = (values[k] if signed else np.abs(values[k]) for k in (i, j))
            table[i, j] = spearman(x, y)
    return table
