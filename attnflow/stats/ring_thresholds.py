"""A threshold for each layer, chosen such that every ring of an attention graph holds a readable number of tokens."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from attnflow.records.root import tokens_of
from attnflow.records.trace import Attribution, Head, Trace, Weights, carried_tokens
from attnflow.stats.attention_graph import allowed_heads, root_of, shown_tokens
from attnflow.stats.edges import edges_of

FIRST_RING, GROWTH, LARGEST_RING = 5, 5, 24
"""Tokens that the first ring below the root is to hold, by how many each further one grows, and where that ends."""


def ring_tau(
    trace_or_values: Trace | Attribution,
    *,
    root: int | Iterable[int] | None = None,
    heads: Iterable[Head] | None = None,
    hidden: Iterable[int] = (),
    weights: Weights | None = None,
) -> NDArray[np.float64]:
    """Choose a threshold for each layer, from the root down, so that no ring is empty and none too full to read.

    The tokens below a ring are ranked by the strongest attention that any token of the ring pays them through an
    allowed head. The threshold lies halfway between the `n`-th and the next, with `n = min(5 + 5 d, 24)` for the ring
    `d` steps below the first. Equal ones stay together: out, or in where the ring would else be empty. Tokens that pass
    through a layer of an encoder-decoder pay nothing there and are in the next ring beside those.

    Args:
        trace_or_values: A recorded run, or contributions, as in `attention_graph`.
        root: Token that ring `L` holds, or several; what the task reads if None.
        heads: Heads `(layer, head)` that may carry edges; all if None. Pruned heads never do.
        hidden: Tokens that join no ring.
        weights: What edges are taken from, as in `attention_graph`.

    Returns:
        `[L]`: what `attention_graph` takes as `tau`, exact in the precision of the attention. Where nothing can be
        attended to, because no head of a layer is allowed, the threshold is 0 and the graph ends.

    Raises:
        SelectionError: If the root, a head or a hidden token is out of range, or there are no such weights.
        UnsupportedArchitectureError: If the architecture does not tell the norms of values.

    Reference:
        Ours. DeRose, Wang and Berger, "Attention Flows", give no threshold, but see rings grow by five to ten tokens
        (section 4.2).
    """
    trace = edges_of(trace_or_values, weights)
    allowed, shown = allowed_heads(trace, heads), shown_tokens(trace, hidden)
    ring = np.zeros(len(trace.tokens), bool)
    ring[list(tokens_of(root_of(trace, root)))] = True
    thresholds = np.zeros(trace.n_layers)
    passing = carried_tokens(trace)
    for below, layer in enumerate(reversed(range(trace.n_layers))):
        attending = ring & ~passing[layer]
        strongest = trace.edges[layer][allowed[layer]][:, attending].max(axis=(0, 1), initial=0) * shown
        thresholds[layer] = ring_threshold(strongest, ring_size(below))
        ring = (strongest > thresholds[layer]) | (ring & passing[layer] & shown)
    return thresholds


def ring_size(below: int) -> int:
    """How many tokens the ring that lies so many steps below the first is to hold."""
    return min(FIRST_RING + GROWTH * below, LARGEST_RING)


def ring_threshold(strongest: NDArray[np.floating], n: int) -> NDArray[np.floating]:
    """The thresholds that `n` of some values pass, without parting equal ones.

    Args:
        strongest: `[…, T]`, none below 0; zeros are attended to by nobody.
        n: How many are to pass, at least one.

    Returns:
        `[…]`, in the precision of the values: halfway between the `n`-th and the next, equal ones out, or in where
        nothing would pass; 0 where all values are 0.
    """
    ranked = -np.sort(-np.append(strongest, np.zeros((*strongest.shape[:-1], n + 1), strongest.dtype), -1))
    upper, lower = ranked[..., n - 1, None], ranked[..., n, None]
    parted = (upper == lower) & (upper > 0)
    above = np.where(ranked > upper, ranked, np.inf).min(-1, keepdims=True)  # infinity where nothing is above
    beneath = np.where(ranked < upper, ranked, 0).max(-1, keepdims=True)
    least = np.where(ranked > 0, ranked, np.inf).min(-1, keepdims=True)
    upper, lower = (
        np.where(parted, np.where(np.isinf(above), upper, above), np.where(upper > 0, upper, least)),
        np.where(parted & np.isinf(above), beneath, lower),
    )
    upper = np.where(np.isinf(upper), 0, upper)
    halfway = lower + (upper - lower) / 2
    return np.where(halfway < upper, halfway, lower)[..., 0].astype(strongest.dtype)
