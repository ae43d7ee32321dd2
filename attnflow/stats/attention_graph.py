"""The attention graph of one trace, classification influence, and what depends on what in it.

Ring `l` of a graph holds tokens as they enter layer `l`; ring `L` holds only the root: one token or, where a score
reads several, all of these. An edge of layer `l` joins token `key` of ring `l` to token `query` of ring `l + 1` and
carries the set of heads whose attention, or what stands for it (`edges`), passes the threshold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeGuard, cast

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import SelectionError
from attnflow.records.root import Root, as_root, tokens_of
from attnflow.records.trace import (
    Attribution,
    Head,
    Trace,
    Weights,
    carried_tokens,
    check_heads,
    is_whole,
    present_heads,
)
from attnflow.stats.edges import edges_of

Threshold = float | Sequence[float] | NDArray[np.floating]
"""What attention must exceed to make an edge: one number, or one for each layer."""


@dataclass(frozen=True)
class AttentionGraph:
    """What is reached from the root, layer by layer; `E` edges, sorted by layer, query and key."""

    rings: NDArray[np.bool_]
    """`[L + 1, T]`: whether a token belongs to a ring."""
    layer: NDArray[np.int32]
    """`[E]`"""
    query: NDArray[np.int32]
    """`[E]`: the token of ring `layer + 1` that attends."""
    key: NDArray[np.int32]
    """`[E]`: the token of ring `layer` that is attended to."""
    heads: NDArray[np.bool_]
    """`[E, H]`: the heads whose attention is above the threshold; at least one for each edge, but none for one from a
    token to itself where the token takes no part in the layer (`Trace.stacks`) and is in the next ring, too."""
    weights: NDArray[np.float32]
    """`[E, H]`: attention of those heads, or what the edges are taken from; 0 elsewhere."""
    root: Root
    tau: NDArray[np.float64]
    """`[L]`: the threshold of each layer."""

    @property
    def n_layers(self) -> int:
        """`L`"""
        return len(self.rings) - 1

    @property
    def n_heads(self) -> int:
        """`H`"""
        return self.heads.shape[1]

    @property
    def n_tokens(self) -> int:
        """`T`"""
        return self.rings.shape[1]

    @property
    def ends_at(self) -> int | None:
        """The layer at which the graph ends because none of its heads is above the threshold; None if it does not."""
        empty = np.flatnonzero(~self.rings.any(axis=1))
        return int(empty[-1]) if len(empty) else None


@dataclass(frozen=True)
class Reach:
    """A part of an attention graph: what a token depends on, and what depends on it."""

    rings: NDArray[np.bool_]
    """`[L + 1, T]`"""
    edges: NDArray[np.bool_]
    """`[E]`"""


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def check_tau(tau: Threshold, n_layers: int) -> NDArray[np.float64]:
    """Return the threshold of each layer, `[L]`.

    Raises:
        SelectionError: If it is neither one number from 0 to below 1, nor one such number for each layer.
    """
    values: list[object] = [tau] * n_layers
    if isinstance(tau, np.ndarray | Sequence) and not isinstance(tau, str):
        values = list(tau)
    for value in values:
        if not _is_number(value) or not 0 <= value < 1:  # also refuses NaN
            raise SelectionError(f"tau is {value!r}; give a number from 0 to below 1, such as 0.1.")
    if len(values) != n_layers:
        raise SelectionError(f"tau has {len(values)} numbers; give one, or one for each of the {n_layers} layers.")
    return np.asarray(values, np.float64)


def attention_graph(
    trace_or_values: Trace | Attribution,
    tau: Threshold = 0.1,
    *,
    root: int | Iterable[int] | None = None,
    heads: Iterable[Head] | None = None,
    hidden: Iterable[int] = (),
    weights: Weights | None = None,
) -> AttentionGraph:
    """Build the attention graph backwards from the root.

    Args:
        trace_or_values: A recorded run; or contributions to the previous layer, from `hidden_token_attribution`.
        tau: An edge needs attention strictly greater than this; from 0 to below 1. One number, or `[L]`, one for the
            attention of each layer, such as `ring_tau` gives.
        root: Token that ring `L` holds, or several; what the task reads if None.
        heads: Heads `(layer, head)` that may carry edges; all if None. Pruned heads never do.
        hidden: Tokens that join no ring, such as the special ones; the root stays at ring `L`.
        weights: What edges are taken from instead of attention, and what `tau` is then compared with: `norm`, the norm
            of what a head writes for a source, as a share of its row; `previous_layer`, for which contributions are
            given in place of a trace, or put into one by `with_weights`. None: what the trace was given there, or
            attention.

    Returns:
        The graph of everything reached from the root. It may end early with empty rings. In an encoder-decoder, tokens
        that take no part in a layer pass through it: from ring to ring, by an edge without a head.

    Raises:
        SelectionError: If the threshold, the root, a head or a hidden token is out of range, or there are no such
            weights.
        UnsupportedArchitectureError: If the architecture does not tell the norms of values.

    Reference:
        DeRose, Wang and Berger, "Attention Flows", section 4.1. The paper gives no threshold; 0.1 is ours. For weights
        other than attention see `with_weights`.
    """
    trace = edges_of(trace_or_values, weights)
    thresholds = check_tau(tau, trace.n_layers)
    root = root_of(trace, root)
    above = trace.edges > thresholds.astype(trace.edges.dtype)[:, None, None, None]
    above &= allowed_heads(trace, heads)[:, :, None, None]
    shown = shown_tokens(trace, hidden)
    above &= shown
    passing = carried_tokens(trace)
    above &= ~passing[:, None, :, None]
    rings = np.zeros((trace.n_layers + 1, len(trace.tokens)), bool)
    rings[-1, list(tokens_of(root))] = True
    edges: list[tuple[NDArray[np.intp], ...]] = []
    for layer in reversed(range(trace.n_layers)):
        joined = (above[layer].any(axis=0) | np.diag(passing[layer] & shown)) & rings[layer + 1][:, None]
        rings[layer] = joined.any(axis=0)
        query, key = np.nonzero(joined)
        edges.append((np.full(len(query), layer), query, key))
    layers, query, key = (np.concatenate(column).astype(np.int32) for column in zip(*reversed(edges), strict=True))
    carried = above[layers, :, query, key]
    of_heads = np.where(carried, trace.edges[layers, :, query, key], np.float32(0))
    return AttentionGraph(rings, layers, query, key, carried, of_heads, root, thresholds)


def root_of(trace: Trace | Attribution, root: int | Iterable[int] | None) -> Root:
    """The token to start from, or several: what is asked for, or else what the task reads.

    Raises:
        SelectionError: If there is no such token, or nothing tells what the task reads.
    """
    if root is not None:
        return check_root(root, len(trace.tokens))
    if trace.root is None:
        raise SelectionError("These contributions do not say what the task reads; give the position of a root.")
    return trace.root


def shown_tokens(trace: Trace | Attribution, hidden: Iterable[int]) -> NDArray[np.bool_]:
    """`[T]`: the tokens that may join a ring.

    Raises:
        SelectionError: If a hidden token is out of range.
    """
    shown = np.ones(len(trace.tokens), bool)
    for token in hidden:
        shown[check_token("a hidden token", token, len(trace.tokens))] = False
    return shown


def check_token(name: str, token: int, n_tokens: int) -> int:
    """Return the position of a token.

    Raises:
        SelectionError: If there is no such token.
    """
    if not is_whole(token) or not 0 <= token < n_tokens:
        raise SelectionError(f"{name} is {token!r}; give the position of a token, from 0 to {n_tokens - 1}.")
    return int(token)


def check_root(root: int | Iterable[int], n_tokens: int) -> Root:
    """Return the token, or the tokens, that a graph starts from.

    Raises:
        SelectionError: If there is no such token, or none is given.
    """
    if isinstance(root, str) or not isinstance(root, Iterable):
        return check_token("root", cast("int", root), n_tokens)
    found = [check_token("root", token, n_tokens) for token in root]
    if not found:
        raise SelectionError(f"root is empty; give the position of a token, from 0 to {n_tokens - 1}, or several.")
    return as_root(found)


def allowed_heads(trace: Trace | Attribution, heads: Iterable[Head] | None) -> NDArray[np.bool_]:
    """`[L, H]`: the heads that may carry edges."""
    shape = trace.n_layers, trace.n_heads
    allowed = np.ones(shape, bool) if heads is None else np.zeros(shape, bool)
    for head in check_heads(heads or (), *shape):
        allowed[head] = True
    for layer, head in trace.pruned:
        allowed[layer, head] = False
    return allowed & present_heads(trace)


def attended_by(graph: AttentionGraph) -> NDArray[np.int64]:
    """Count who attends to each token.

    Returns:
        `[L, T]`: number of (head, attending token) pairs above the threshold, `c[l, w]`.

    Reference:
        Attention Flows, eq. 3: raw counts, not multiplied along paths. The equation speaks of heads "from w to attend
        to w'"; by section 4.1 it is w' that attends, and so it is counted.
    """
    counts = np.zeros((graph.n_layers, graph.n_tokens), np.int64)
    np.add.at(counts, (graph.layer, graph.key), graph.heads.sum(axis=1))
    return counts


def influence(graph: AttentionGraph, alpha: float = 0.5) -> NDArray[np.float64]:
    """Classification influence of every token from every layer on.

    Args:
        graph: An attention graph.
        alpha: Decay for each layer further from the root, above 0 and at most 1.

    Returns:
        `[L, T]`: `I[l, w] = 1 / (L - l) * sum over m = l … L - 1 of alpha ** (L - 1 - m) * c[m, w]`, in units of heads.

    Raises:
        SelectionError: If alpha is out of range.

    Reference:
        Attention Flows, eq. 4.
    """
    if not _is_number(alpha) or not 0 < alpha <= 1:
        raise SelectionError(f"alpha is {alpha!r}; give a number above 0 and at most 1, such as 0.5.")
    n_layers = graph.n_layers
    decay = float(alpha) ** np.arange(n_layers - 1, -1, -1)
    summed = np.cumsum((decay[:, None] * attended_by(graph))[::-1], axis=0)[::-1]
    return summed / np.arange(n_layers, 0, -1)[:, None]


def reach(graph: AttentionGraph, ring: int, tokens: int | Iterable[int], *, head: int | None = None) -> Reach:
    """Everything that tokens of a ring depend on in common, and everything that depends on all of them.

    Args:
        graph: An attention graph.
        ring: Ring of the tokens, from 0 (what enters the first layer) to `L` (the root).
        tokens: A position, or several. Those that are not in the ring do not count; if none is, nothing is reached.
            Of several, the next ring each way holds what is joined to *each* of them, and goes on from there. All
            tokens of the root, where it is several, stand for one thing: what is joined to any of them.
        head: If given, only this head joins the tokens to the ring below them, as when a head glyph is chosen, and
            what depends on them is left as it is. All other layers use all heads.

    Returns:
        Tokens and edges, the given tokens included.

    Raises:
        SelectionError: If the ring, a token or the head is out of range.

    Reference:
        Attention Flows, section 4.4.1: hovering, head glyphs, and brushing, where "the intersection is performed at
        each layer before continuing traversal at the next layer".
    """
    chosen = _chosen(graph, ring, tokens)
    if head is not None and not 0 <= head < graph.n_heads:
        raise SelectionError(f"head is {head!r}; give a number from 0 to {graph.n_heads - 1}.")
    rings = np.zeros_like(graph.rings)
    edges = np.zeros(len(graph.layer), bool)
    least = 1 if _is_root(graph, ring, chosen) else chosen.sum()
    rings[ring] = chosen
    for layer in reversed(range(ring)):  # away from the root: what they depend on
        hit = (graph.layer == layer) & rings[layer + 1][graph.query]
        if layer == ring - 1:
            hit &= graph.heads[:, head] if head is not None else True
            hit &= (np.bincount(graph.key[hit], minlength=graph.n_tokens) >= least)[graph.key]
        edges |= hit
        rings[layer][graph.key[hit]] = True
    for layer in range(ring, graph.n_layers):  # towards the root: what depends on them
        hit = (graph.layer == layer) & rings[layer][graph.key]
        if layer == ring:
            hit &= (np.bincount(graph.query[hit], minlength=graph.n_tokens) >= least)[graph.query]
        edges |= hit
        rings[layer + 1][graph.query[hit]] = True
    return Reach(rings, edges)


def paths_between(
    graph: AttentionGraph, ring: int, tokens: int | Iterable[int], other_ring: int, other_tokens: int | Iterable[int]
) -> Reach:
    """All paths between tokens of two rings, and the tokens on the way.

    Args:
        graph: An attention graph.
        ring: A ring, from 0 to `L`.
        tokens: A position in it, or several.
        other_ring: Another ring; the order of the two does not matter.
        other_tokens: A position in that ring, or several.

    Returns:
        The given tokens that are in their rings, every token in between that all of them are joined to by paths (any of
        them, if they are the whole root), and the edges of those paths. Its `edges` tell the heads that carry them.

    Raises:
        SelectionError: If a ring or a token is out of range, or the rings are the same.

    Reference:
        Attention Flows, section 4.4.2. Tokens that a model's graph does not hold do not count for it.
    """
    if ring == other_ring:
        raise SelectionError(f"Both tokens are in ring {ring}; paths lead from one ring to another.")
    chosen = {ring: _chosen(graph, ring, tokens), other_ring: _chosen(graph, other_ring, other_tokens)}
    inner, outer = max(ring, other_ring), min(ring, other_ring)
    down = _joined_to_all(graph, inner, chosen[inner], outer)
    up = _joined_to_all(graph, outer, chosen[outer], inner)
    rings = down & up
    for end in (inner, outer):
        rings[end] = chosen[end]
    rings[:outer] = rings[inner + 1 :] = False
    edges = (graph.layer >= outer) & (graph.layer < inner)
    edges &= rings[graph.layer + 1, graph.query] & rings[graph.layer, graph.key]
    return Reach(rings, edges)


def _joined_to_all(graph: AttentionGraph, ring: int, chosen: NDArray[np.bool_], until: int) -> NDArray[np.bool_]:
    """`[L + 1, T]`: the tokens that each of the chosen ones, or any of a whole root, is joined to by a path."""
    whole = _is_root(graph, ring, chosen)
    joined = np.zeros_like(graph.rings) if whole else np.ones_like(graph.rings)
    for token in np.flatnonzero(chosen):
        rings = np.zeros_like(graph.rings)
        rings[ring, token] = True
        steps = reversed(range(until, ring)) if until < ring else range(ring, until)
        for layer in steps:
            source, target = (layer + 1, layer) if until < ring else (layer, layer + 1)
            ends = (graph.query, graph.key) if until < ring else (graph.key, graph.query)
            hit = (graph.layer == layer) & rings[source][ends[0]]
            rings[target][ends[1][hit]] = True
        joined = joined | rings if whole else joined & rings
    return joined & chosen.any()


def _is_root(graph: AttentionGraph, ring: int, chosen: NDArray[np.bool_]) -> bool:
    """Whether some tokens of a ring are all of a root that is several."""
    return ring == graph.n_layers and isinstance(graph.root, tuple) and bool(chosen[list(graph.root)].all())


def _chosen(graph: AttentionGraph, ring: int, tokens: int | Iterable[int]) -> NDArray[np.bool_]:
    """`[T]`: the given tokens that are in a ring."""
    if not 0 <= ring <= graph.n_layers:
        raise SelectionError(f"ring is {ring!r}; give a number from 0 to {graph.n_layers}.")
    several = [tokens] if isinstance(tokens, int | np.integer) else list(tokens)
    chosen = np.zeros(graph.n_tokens, bool)
    for token in several:
        chosen[check_token("token", token, graph.n_tokens)] = True
    return chosen & graph.rings[ring]
