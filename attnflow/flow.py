"""Attention flow as it is shown: graph and influence of one trace, or of two on common units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnflow.comparison import Pairing, merge_words, pair_traces
from attnflow.errors import SelectionError
from attnflow.graph import AttentionGraph, attention_graph, influence, smallest_tau
from attnflow.records import Trace

LARGEST_RING = 24
"""The first tau leaves at most so many tokens in a ring."""


@dataclass(frozen=True)
class Flow:
    """The attention flow of one trace at one threshold."""

    trace: Trace
    graph: AttentionGraph
    influence: NDArray[np.float64]
    """`[L, T]`"""


@dataclass(frozen=True)
class FlowPair:
    """The attention flows of two traces on common units."""

    pairing: Pairing
    a: Flow
    b: Flow


def flow(trace: Trace, tau: float, alpha: float = 0.5, *, unit: str = "piece") -> Flow:
    """Attention flow of one trace, piece by piece or word by word.

    Raises:
        SelectionError: If `tau`, `alpha` or `unit` is out of range.
    """
    trace = merge_words(trace) if check_unit(unit) == "word" else trace
    graph = attention_graph(trace, tau)
    return Flow(trace, graph, influence(graph, alpha))


def compare_flows(a: Trace, b: Trace, tau: float, alpha: float = 0.5, *, unit: str = "piece") -> FlowPair:
    """Attention flows of two traces of one sentence pair; word by word where their tokenizers differ.

    Raises:
        SelectionError: If `tau`, `alpha` or `unit` is out of range.
    """
    pairing = pair_traces(a, b, check_unit(unit))
    return FlowPair(pairing, flow(pairing.a, tau, alpha), flow(pairing.b, tau, alpha))


def first_tau(a: Trace, b: Trace, *, unit: str = "piece") -> float:
    """The threshold to start with: the smallest multiple of 0.05 with at most `LARGEST_RING` tokens in every ring."""
    pairing = pair_traces(a, b, check_unit(unit))
    return smallest_tau([pairing.a, pairing.b], largest_ring=LARGEST_RING)


def check_unit(unit: str) -> str:
    """Return a unit of comparison.

    Raises:
        SelectionError: If it is neither `piece` nor `word`.
    """
    if unit not in ("piece", "word"):
        raise SelectionError(f"unit is {unit!r}; give 'piece' or 'word'.")
    return unit
