"""The sentence view: classification influence as circles over the words, for one or two models."""

from __future__ import annotations

import numpy as np

from attnflow.records.root import tokens_of
from attnflow.records.words import told_apart
from attnflow.stats.flow import Flow, FlowPair
from attnflow.views.payloads import SentenceFigure
from attnflow.views.rounding import rounded
from attnflow.views.thresholds import told


def sentence(flows: Flow | FlowPair, names: tuple[str, ...]) -> SentenceFigure:
    """Describe the sentence view.

    Args:
        flows: The flow of one model, or those of two on common units.
        names: Names of the models.
    """
    if isinstance(flows, Flow):
        tokens = flows.trace.tokens
        sides, places = [flows], [np.arange(len(tokens))]
        text, part = tokens.text, tokens.sentence
    else:
        sides, places = [flows.a, flows.b], [flows.pairing.in_a, flows.pairing.in_b]
        text, part = flows.pairing.text, flows.pairing.sentence
    return {
        "text": list(text),
        "names": told_apart(text, part.tolist()),
        "sentence": part.tolist(),
        "threshold": told(*(side.graph for side in sides)),
        "models": [
            {
                "name": name,
                "layers": side.graph.n_layers,
                "root": np.flatnonzero(np.isin(place, tokens_of(side.graph.root))).tolist(),
                "influence": [
                    [rounded(layer[token]) if token >= 0 else None for token in place] for layer in side.influence
                ],
            }
            for name, side, place in zip(names, sides, places, strict=True)
        ],
    }
