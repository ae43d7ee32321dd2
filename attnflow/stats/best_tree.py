"""The most probable tree over the words of a sentence, by what is known of single arcs."""

from __future__ import annotations

from typing import Any

import networkx
import numpy as np
from numpy.typing import ArrayLike

from attnflow.errors import SelectionError
from attnflow.records.trees import ROOT

_networkx: Any = networkx  # whose types say nothing of what is in a graph
_LEAST = 1e-300
"""A probability of 0 is taken for this, so that there is a tree where some arcs are impossible."""


def best_tree(probability: ArrayLike) -> tuple[int, ...]:
    """The tree with the highest product of the probabilities of its arcs, of all those that have one root.

    The same probabilities give the same tree, also where several are equally good.

    Args:
        probability: `[W, W + 1]` as `[dependent, governor]`, the root last; a word is no governor of itself, whatever
            stands there.

    Returns:
        `[W]`: the governor of each word, -1 for the root.

    Raises:
        SelectionError: If there is no word, or the size is another.

    Reference:
        McDonald et al., *Non-projective dependency parsing using spanning tree algorithms* (2005); the maximum spanning
        arborescence is that of networkx (Edmonds). Clark et al. take the best governor of each word, tree or not.

    Example:
        >>> best_tree([[0, 0.6, 0.4], [0.7, 0, 0.3]])
        (-1, 0)
    """
    values = np.asarray(probability, np.float64)
    if values.ndim != 2 or not values.shape[0] or values.shape[1] != values.shape[0] + 1:
        raise SelectionError(f"Probabilities of arcs are {values.shape}; give [W, W + 1] of at least one word.")
    size = len(values)
    weight = np.log(np.maximum(values, _LEAST))
    # More than any tree can gain by a second root, so that the best has one.
    weight[:, ROOT] -= 1 + size * (weight.max() - weight.min())
    graph = _networkx.DiGraph()
    graph.add_weighted_edges_from(
        (governor, word, float(weight[word, governor]))
        for word in range(size)
        for governor in range(-1, size)
        if governor != word
    )
    found = _networkx.maximum_spanning_arborescence(graph)
    above: dict[int, int] = {word: governor for governor, word in found.edges}
    return tuple(above[word] for word in range(size))
