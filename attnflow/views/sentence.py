"""The sentence view: classification influence as circles over the words, for one or two models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attnflow.records.root import tokens_of
from attnflow.records.trace import AGAIN, SPECIAL
from attnflow.records.words import told_apart
from attnflow.stats.alignment import line_starts
from attnflow.stats.flow import Flow, FlowPair
from attnflow.views.class_scores import class_scores
from attnflow.views.payloads import SentenceFigure
from attnflow.views.rounding import rounded
from attnflow.views.thresholds import told


def sentence(
    flows: Flow | FlowPair, names: tuple[str, ...], texts: tuple[str, str] = ("", ""), mask: str = ""
) -> SentenceFigure:
    """Describe the sentence view.

    Args:
        flows: The flow of one model, or those of two on common units.
        names: Names of the models.
        texts: Both sentences as they were written; the second may be empty.
        mask: What masks a word in all of these models, if anything does.
    """
    if isinstance(flows, Flow):
        tokens = flows.trace.tokens
        sides, places = [flows], [np.arange(len(tokens))]
        text, part, lines = tokens.text, tokens.sentence, line_starts(tokens.sentence, tokens.in_target)
    else:
        sides, places = [flows.a, flows.b], [flows.pairing.in_a, flows.pairing.in_b]
        text, part, lines = flows.pairing.text, flows.pairing.sentence, flows.pairing.lines
    return {
        "text": list(text),
        "names": told_apart(text, part.tolist()),
        "sentence": part.tolist(),
        "lines": list(lines),
        "threshold": told(*(side.graph for side in sides)),
        "texts": list(texts),
        "spans": [_span(texts, sides, places, unit) for unit in range(len(text))],
        "mask": mask,
        "models": [
            {
                "name": name,
                "layers": side.graph.n_layers,
                "root": np.flatnonzero(np.isin(place, tokens_of(side.graph.root))).tolist(),
                "classes": class_scores(side.trace),
                "off": len(side.trace.pruned),
                "influence": [
                    [rounded(layer[token]) if token >= 0 else None for token in place] for layer in side.influence
                ],
            }
            for name, side, place in zip(names, sides, places, strict=True)
        ],
    }


def _span(
    texts: tuple[str, str], sides: Sequence[Flow], places: Sequence[NDArray[np.integer]], unit: int
) -> tuple[int, int] | None:
    """Where the word of a unit stands in its sentence, as scripts count; None for what stands for no text."""
    side, place = next((side, place) for side, place in zip(sides, places, strict=True) if place[unit] >= 0)
    tokens, token = side.trace.tokens, int(place[unit])
    if tokens.sentence[token] == SPECIAL:
        return None
    own = tokens.span[(tokens.word == tokens.word[token]) & (tokens.sentence == tokens.sentence[token])]
    text = texts[int(tokens.sentence[token]) % AGAIN]
    start, end = (_utf16(text[:at]) for at in (int(own[:, 0].min()), int(own[:, 1].max())))
    return (start, end) if start < end else None


def _utf16(text: str) -> int:
    """Length of a text as JavaScript counts."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
