"""The radial view: one or two attention graphs, packed for the panel that lays out the rings and traces paths.

Positions depend on the size of the panel and on its zoom, so the browser computes them; what is sent is the graphs.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnflow.stats.attention_graph import AttentionGraph
from attnflow.stats.flow import Flow, FlowPair


def radial(flows: Flow | FlowPair, names: tuple[str, ...]) -> dict[str, Any]:
    """Describe the radial view.

    Args:
        flows: The flow of one model, or those of two on common units.
        names: Names of the models.

    Returns:
        `unit` (`piece` or `word`), the tokens (`text`, `piece`, `sentence`), `tau`, and for each model its `name`,
        `layers`, `heads`, `root`, `rings` (tokens of rings 0 … L) and packed `edges` (see `pack`). Tokens are numbered
        in the list of all units, so that both models speak of the same ones.
    """
    if isinstance(flows, Flow):
        tokens = flows.trace.tokens
        places = [np.arange(len(tokens))]
        sides, text, sentence, unit = [flows], tokens.text, tokens.sentence, tokens.unit
    else:
        pairing = flows.pairing
        places = [pairing.in_a, pairing.in_b]
        sides, text, sentence, unit = [flows.a, flows.b], pairing.text, pairing.sentence, pairing.unit
    pieces = [""] * len(text)
    for side, place in zip(reversed(sides), reversed(places), strict=True):
        for index, token in enumerate(place):
            pieces[index] = side.trace.tokens.piece[token] if token >= 0 else pieces[index]
    return {
        "unit": unit,
        "text": list(text),
        "piece": pieces,
        "sentence": sentence.tolist(),
        "tau": sides[0].graph.tau,
        "models": [
            {"name": name, **_model(side.graph, _inverse(place, len(side.trace.tokens)))}
            for name, side, place in zip(names, sides, places, strict=True)
        ],
    }


def _inverse(place: NDArray[np.int_], n_tokens: int) -> NDArray[np.int_]:
    """For each token of a model, its unit."""
    unit = np.zeros(n_tokens, int)
    unit[place[place >= 0]] = np.flatnonzero(place >= 0)
    return unit


def _model(graph: AttentionGraph, unit: NDArray[np.int_]) -> dict[str, Any]:
    return {
        "layers": graph.n_layers,
        "heads": graph.n_heads,
        "root": int(unit[graph.root]),
        "rings": [unit[ring].tolist() for ring in graph.rings],
        "edges": pack(graph, unit),
    }


def pack(graph: AttentionGraph, unit: NDArray[np.int_]) -> dict[str, Any]:
    """Pack the edges of a graph: a third of the size of JSON lists, and quick to read in the browser.

    Returns:
        `count`, edges of each layer; `bytes`, 1 or 2; `query`, `key`: little-endian numbers of so many bytes; `heads`:
        for each edge the set of its heads, `ceil(H / 8)` bytes with head 0 in the lowest bit; `weight`: for each edge
        and each of its heads the attention in 255ths. The last four are base64 text.
    """
    number = np.dtype("u1" if unit.max(initial=0) < 256 else "<u2")
    weights = np.round(graph.weights[graph.heads] * 255).astype(np.uint8)
    return {
        "count": np.bincount(graph.layer, minlength=graph.n_layers).tolist(),
        "bytes": number.itemsize,
        "query": _base64(unit[graph.query].astype(number)),
        "key": _base64(unit[graph.key].astype(number)),
        "heads": _base64(np.packbits(graph.heads, axis=1, bitorder="little")),
        "weight": _base64(weights),
    }


def _base64(array: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
