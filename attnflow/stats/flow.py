"""Attention flow as it is shown: graph and influence of one trace, or of two on common units."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import SelectionError
from attnflow.records.trace import SPECIAL, Head, Trace, check_heads
from attnflow.records.words import check_unit
from attnflow.stats.alignment import Pairing, merge_words, pair_traces
from attnflow.stats.attention_graph import AttentionGraph, Threshold, attention_graph, check_token, influence
from attnflow.stats.ring_sizes import ring_limits
from attnflow.stats.ring_thresholds import ring_tau


@dataclass(frozen=True)
class Flow:
    """The attention flow of one trace at one threshold."""

    trace: Trace
    graph: AttentionGraph
    influence: NDArray[np.float64]
    """`[L, T]`"""
    limits: NDArray[np.floating]
    """`[L + 1, T]`: the threshold from which on a token is no longer in a ring (`ring_limits`)."""
    hidden_share: float | None = None
    """Share of the attention, or of what edges are taken from, of all tokens in the graph that goes to the hidden
    special tokens; None if none are."""


@dataclass(frozen=True)
class FlowPair:
    """The attention flows of two traces on common units."""

    pairing: Pairing
    a: Flow
    b: Flow


def unit_rings(one: Flow, place: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which units each ring holds, from the root outwards.

    Args:
        one: The flow of one model of a pair.
        place: `[U]`: its token for each unit, -1 where it has none (`Pairing.in_a`, `Pairing.in_b`).

    Returns:
        `[L + 1, U]`: row 0 is the root, row `d` what stands `d` rings below it.
    """
    return one.graph.rings[::-1, place] & (place >= 0)


def flow(
    trace: Trace,
    tau: Threshold | None = None,
    alpha: float = 0.5,
    *,
    unit: str = "piece",
    root: int | None = None,
    heads: Iterable[Head] | None = None,
    hide_special: bool = False,
) -> Flow:
    """Attention flow of one trace.

    Args:
        trace: A recorded run, with what its edges are taken from (`with_weights`).
        tau: Threshold of attention, or one for each layer; those of `ring_tau` if None.
        alpha: Decay of influence.
        unit: `piece`, or `word` to merge the pieces of words.
        root: Token to start from, counted in these units; what the task reads, one token or several, if None.
        heads: Heads that may carry edges; all if None.
        hide_special: Whether special tokens are kept out of all rings but that of the root.

    Raises:
        SelectionError: If one of them is out of range.
    """
    trace = merge_words(trace) if check_unit(unit) == "word" else trace
    special = _special(trace)
    allowed = None if heads is None else list(heads)
    hidden = special if hide_special else ()
    if tau is None:
        tau = ring_tau(trace, root=root, heads=allowed, hidden=hidden)
    graph = attention_graph(trace, tau, root=root, heads=allowed, hidden=hidden)
    share = None
    if hide_special:
        taken = trace.edges[..., special].sum(axis=-1)  # [L, H, T]
        weight = np.broadcast_to(graph.rings[1:, None, :], taken.shape)
        share = float(taken[weight].mean())
    limits = ring_limits(trace, root=root, heads=allowed, hidden=hidden)
    return Flow(trace, graph, influence(graph, alpha), limits, share)


def _special(trace: Trace) -> NDArray[np.intp]:
    """Positions of the special tokens."""
    return np.flatnonzero(trace.tokens.sentence == SPECIAL)


def compare_flows(
    a: Trace,
    b: Trace,
    tau: float | tuple[Threshold, Threshold] | None = None,
    alpha: float = 0.5,
    *,
    unit: str = "piece",
    root: int | None = None,
    heads: Iterable[Head] | None = None,
    hide_special: bool = False,
) -> FlowPair:
    """Attention flows of two traces of one sentence pair; word by word where their tokenizers differ.

    The edges of each are what its trace has for them (`with_weights`); two kinds at once are refused.

    Args:
        a: Trace of model A.
        b: Trace of model B.
        tau: Threshold of attention in every layer of both, or a pair of those of A and of B; those of `ring_tau`, by
            layer and model, if None.
        alpha: Decay of influence.
        unit: `piece` or `word`.
        root: Unit of the pair to start from; what each task reads if None.
        heads: Heads that may carry edges, by the layers of the deeper model; the other one is aligned with it at the
            root. All if None.
        hide_special: Whether special tokens are kept out of all rings but that of the root.

    Raises:
        SelectionError: If one of them is out of range, or a model has no token that stands for the root.
    """
    if a.weights != b.weights:
        raise SelectionError(f"The edges of A are {a.weights!r}, those of B {b.weights!r}; compare the same of both.")
    pairing, starts = _paired(a, b, unit, root, heads)
    taus = tau if isinstance(tau, tuple) else (tau, tau)
    flows = [
        flow(trace, own, alpha, root=start, heads=allowed, hide_special=hide_special)
        for own, (trace, start, allowed) in zip(taus, starts, strict=True)
    ]
    return FlowPair(pairing, *flows)


Start = tuple[Trace, int | None, list[Head] | None]
"""A trace on common units, and where and through which heads its graph is built."""


def _paired(
    a: Trace, b: Trace, unit: str, root: int | None, heads: Iterable[Head] | None
) -> tuple[Pairing, list[Start]]:
    """Everything about two flows that does not depend on the threshold."""
    pairing = pair_traces(a, b, check_unit(unit))
    n_layers, n_heads = max(a.n_layers, b.n_layers), max(a.n_heads, b.n_heads)
    chosen = None if heads is None else check_heads(heads, n_layers, n_heads)
    starts: list[Start] = []
    for trace, place, name in ((pairing.a, pairing.in_a, "A"), (pairing.b, pairing.in_b, "B")):
        start = None
        if root is not None:
            start = int(place[check_token("root", root, len(place))])
            if start < 0:
                raise SelectionError(f"Model {name} has no token {pairing.text[root]}; start from another one.")
        starts.append((trace, start, None if chosen is None else _aligned(chosen, trace, n_layers)))
    return pairing, starts


def _aligned(heads: Iterable[Head], trace: Trace, n_layers: int) -> list[Head]:
    """Those of some heads that a model of perhaps fewer layers and heads has."""
    own = [(layer - n_layers + trace.n_layers, head) for layer, head in heads]
    return [(layer, head) for layer, head in own if layer >= 0 and head < trace.n_heads]
