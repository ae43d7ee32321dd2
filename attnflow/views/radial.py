"""The radial view: one or two attention graphs, packed for the panel that lays out the rings and traces paths.

Positions depend on the size of the panel and on its zoom, so the browser computes them; what is sent is the graphs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnflow.records.root import pooled_name, tokens_of
from attnflow.records.words import told_apart
from attnflow.stats.alignment import line_starts
from attnflow.stats.attention_graph import AttentionGraph
from attnflow.stats.flow import Flow, FlowPair
from attnflow.views.packed import packed
from attnflow.views.payloads import Edges, Radial, RadialModel
from attnflow.views.thresholds import told


def radial(flows: Flow | FlowPair, names: tuple[str, ...]) -> Radial:
    """Describe the radial view.

    Args:
        flows: The flow of one model, or those of two on common units.
        names: Names of the models.

    Returns:
        All but the tour. Tokens are numbered in the list of all units, so that both models speak of the same ones.
    """
    if isinstance(flows, Flow):
        tokens = flows.trace.tokens
        places = [np.arange(len(tokens))]
        sides, text, sentence, unit = [flows], tokens.text, tokens.sentence, tokens.unit
        lines = line_starts(sentence, tokens.in_target)
    else:
        pairing = flows.pairing
        places = [pairing.in_a, pairing.in_b]
        sides, text, sentence, unit = [flows.a, flows.b], pairing.text, pairing.sentence, pairing.unit
        lines = pairing.lines
    pieces = [""] * len(text)
    for side, place in zip(reversed(sides), reversed(places), strict=True):
        for index, token in enumerate(place):
            pieces[index] = side.trace.tokens.piece[token] if token >= 0 else pieces[index]
    return {
        "unit": "word" if unit == "word" else "piece",
        "text": list(text),
        "names": told_apart(text, sentence.tolist()),
        "piece": pieces,
        "sentence": sentence.tolist(),
        "lines": list(lines),
        "threshold": told(*(side.graph for side in sides)),
        "models": [
            _model(name, side, _inverse(place, len(side.trace.tokens)))
            for name, side, place in zip(names, sides, places, strict=True)
        ],
    }


def _inverse(place: NDArray[np.integer], n_tokens: int) -> NDArray[np.int_]:
    """For each token of a model, its unit."""
    unit = np.zeros(n_tokens, int)
    unit[place[place >= 0]] = np.flatnonzero(place >= 0)
    return unit


def _model(name: str, side: Flow, unit: NDArray[np.int_]) -> RadialModel:
    graph, trace = side.graph, side.trace
    return {
        "name": name,
        "layers": graph.n_layers,
        "encoder": trace.stacks.n_encoder if trace.stacks else 0,
        "heads": graph.n_heads,
        "root": unit[list(tokens_of(graph.root))].tolist(),
        "centre": pooled_name(graph.root, trace.tokens.unit, trace.pooling),
        "tau": [float(f"{value:.3g}") for value in graph.tau],
        "rings": [unit[ring].tolist() for ring in graph.rings],
        "edges": pack(graph, unit),
    }


def pack(graph: AttentionGraph, unit: NDArray[np.int_]) -> Edges:
    """Pack the edges of a graph: a third of the size of JSON lists, and quick to read in the browser."""
    small = unit.max(initial=0) < 256
    number = np.dtype("u1" if small else "<u2")
    weights = np.round(graph.weights[graph.heads] * 255).astype(np.uint8)
    return {
        "count": np.bincount(graph.layer, minlength=graph.n_layers).tolist(),
        "bytes": 1 if small else 2,
        "query": packed(unit[graph.query].astype(number)),
        "key": packed(unit[graph.key].astype(number)),
        "heads": packed(np.packbits(graph.heads, axis=1, bitorder="little")),
        "weight": packed(weights),
    }
