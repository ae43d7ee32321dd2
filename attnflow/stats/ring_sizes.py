"""How many tokens each ring of an attention graph would hold at every threshold."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnflow.records.root import tokens_of
from attnflow.records.trace import Head, Trace, carried_tokens
from attnflow.stats.attention_graph import allowed_heads, root_of, shown_tokens


def ring_limits(
    trace: Trace,
    *,
    root: int | Iterable[int] | None = None,
    heads: Iterable[Head] | None = None,
    hidden: Iterable[int] = (),
) -> NDArray[np.floating]:
    """The threshold from which on a token is no longer in a ring, where one threshold holds for all layers.

    A token is in a ring if a path of attention above the threshold leads to it from the root. So it stays there as long
    as the threshold is below the weakest link of the path whose weakest link is strongest, which one pass from the root
    down finds for all tokens, as for the shortest path: the limit of `b` in ring `l` is the largest, over the tokens
    `a`, of the smaller of the limit of `a` in ring `l + 1` and the strongest attention of `a` to `b`.

    Args:
        trace: A recorded run, with what its edges are taken from.
        root: Token that ring `L` holds, or several; what the task reads if None.
        heads: Heads `(layer, head)` that may carry edges; all if None. Pruned heads never do.
        hidden: Tokens that join no ring.

    Returns:
        `[L + 1, T]`: `attention_graph` at `tau` holds a token in a ring if its limit is greater. The root has an
        infinite one in ring `L`; a token that no threshold lets in has 0.

    Raises:
        SelectionError: If the root, a head or a hidden token is out of range.
    """
    allowed, shown = allowed_heads(trace, heads), shown_tokens(trace, hidden)
    limits = np.zeros((trace.n_layers + 1, len(trace.tokens)), trace.edges.dtype)
    limits[-1, list(tokens_of(root_of(trace, root)))] = np.inf
    passing = carried_tokens(trace)
    for layer in reversed(range(trace.n_layers)):
        strongest = trace.edges[layer][allowed[layer]].max(axis=0, initial=0)  # [query, key]
        strongest[passing[layer]] = 0
        strongest[passing[layer], passing[layer]] = np.inf  # whatever the threshold
        limits[layer] = np.minimum(limits[layer + 1][:, None], strongest).max(axis=0)
        limits[layer, ~shown] = 0
    return limits


def ring_sizes(limits: NDArray[np.floating], taus: ArrayLike) -> NDArray[np.int_]:
    """How many tokens each ring holds at some thresholds.

    Args:
        limits: `[L + 1, T]` of `ring_limits`.
        taus: `[N]`, each for all layers.

    Returns:
        `[N, L + 1]`
    """
    return (limits > np.asarray(taus, limits.dtype)[:, None, None]).sum(axis=-1)
