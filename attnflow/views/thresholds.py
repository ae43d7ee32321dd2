"""Thresholds of attention in words: one number, or one for each layer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnflow.stats.attention_graph import AttentionGraph


def single(tau: NDArray[np.float64]) -> float | None:
    """The threshold of all layers; None if they differ."""
    return float(tau[0]) if (tau == tau[0]).all() else None


def told(*graphs: AttentionGraph) -> str:
    """The thresholds of one graph, or of those of models A and B, from the decision outwards.

    Example: `tau = 0.2`, or `Thresholds by layer, from the decision to the words: A 0.14, 0.31, 0.6; B 0.2, 0.2, 0.52`.
    """
    common = {single(graph.tau) for graph in graphs}
    if len(common) == 1 and None not in common:
        return f"tau = {common.pop():g}"
    names = [""] if len(graphs) == 1 else ["A ", "B "]
    each = [
        name + ", ".join(f"{value:.2g}" for value in graph.tau[::-1]) for name, graph in zip(names, graphs, strict=True)
    ]
    return f"Thresholds by layer, from the decision to the words: {'; '.join(each)}"


def end_note(graph: AttentionGraph) -> str:
    """Says where a graph ends early; empty if it does not."""
    if graph.ends_at is None:
        return ""
    tau = graph.tau[graph.ends_at]
    return f"The graph ends at L{graph.ends_at + 1}: no head there attends to anything above tau = {tau:.3g}."
