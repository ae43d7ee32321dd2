"""Attention graphs as plain JSON."""

from __future__ import annotations

from itertools import zip_longest
from typing import TypedDict

import numpy as np

from attnflow.records.root import tokens_of
from attnflow.service.case import Case
from attnflow.stats.flow import Flow, FlowPair, unit_rings
from attnflow.views.rounding import rounded
from attnflow.views.thresholds import end_note, single
from attnflow.web.endpoints.answers import (
    ModelAnswer,
    TokenAnswer,
    case_note,
    model_answer,
    pruned_answer,
    sentence_number,
    tokens_answer,
)


class EdgeAnswer(TypedDict):
    """Token `query` of ring `layer + 1` attends to token `key` of ring `layer` with these heads."""

    layer: int
    query: int
    key: int
    heads: list[int]
    weights: list[float]


class FlowAnswer(TypedDict):
    """The attention graph and influence of one model.

    `root` is the token that ring L holds, or null where the score reads several; `roots` holds it, or all of these.
    `weights` says what the weights of edges are, and `tau` is compared with.
    """

    model: ModelAnswer
    tokens: list[TokenAnswer]
    unit: str
    root: int | None
    roots: list[int]
    tau: float | None
    thresholds: list[float]
    weights: str
    alpha: float
    pruned: list[list[int]]
    rings: list[list[int]]
    edges: list[EdgeAnswer]
    influence: list[list[float]]
    note: str


class UnitAnswer(TypedDict):
    """A unit on which two models are compared, and the token of each that stands for it (None if it has none)."""

    text: str
    sentence: int | None
    token_a: int | None
    token_b: int | None


class CompareAnswer(TypedDict):
    """Answer of `compare_attention_flow`."""

    unit: str
    units: list[UnitAnswer]
    a: FlowAnswer
    b: FlowAnswer
    only_a: list[list[int]]
    only_b: list[list[int]]
    shared: list[list[int]]
    note: str


def comparison_answer(a: Case, b: Case, flows: FlowPair, alpha: float) -> CompareAnswer:
    """Both graphs and what they share."""
    pairing = flows.pairing
    rings_a, rings_b = (
        [frozenset(np.flatnonzero(ring).tolist()) for ring in unit_rings(one, place)]
        for one, place in ((flows.a, pairing.in_a), (flows.b, pairing.in_b))
    )
    both = list(zip_longest(rings_a, rings_b, fillvalue=frozenset()))
    return {
        "unit": pairing.unit,
        "units": [
            {
                "text": text,
                "sentence": sentence_number(part),
                "token_a": int(i) if i >= 0 else None,
                "token_b": int(j) if j >= 0 else None,
            }
            for text, part, i, j in zip(pairing.text, pairing.sentence, pairing.in_a, pairing.in_b, strict=True)
        ],
        "a": flow_answer(a, flows.a, alpha),
        "b": flow_answer(b, flows.b, alpha),
        "only_a": [sorted(left - right) for left, right in both],
        "only_b": [sorted(right - left) for left, right in both],
        "shared": [sorted(left & right) for left, right in both],
        "note": comparison_note(pairing.unit),
    }


def comparison_note(unit: str) -> str:
    """On what two models are compared."""
    if unit == "word":
        return "Compared word by word: attention to a word is the sum over its pieces, attention from it the mean."
    return "Compared piece by piece: both checkpoints cut the text into the same pieces."


def flow_answer(case: Case, one: Flow, alpha: float) -> FlowAnswer:
    """The attention graph and influence of one model."""
    graph = one.graph
    edges: list[EdgeAnswer] = []
    for layer, query, key, carried, weights in zip(
        graph.layer.tolist(), graph.query.tolist(), graph.key.tolist(), graph.heads, graph.weights, strict=True
    ):
        heads = np.flatnonzero(carried).tolist()
        edges.append(
            {
                "layer": layer,
                "query": query,
                "key": key,
                "heads": heads,
                "weights": [rounded(weights[h]) for h in heads],
            }
        )
    return {
        "model": model_answer(case.card),
        "tokens": tokens_answer(one.trace.tokens),
        "unit": one.trace.tokens.unit,
        "root": graph.root if isinstance(graph.root, int) else None,
        "roots": list(tokens_of(graph.root)),
        "tau": single(graph.tau),
        "thresholds": graph.tau.tolist(),
        "weights": one.trace.weights,
        "alpha": float(alpha),
        "pruned": pruned_answer(case),
        "rings": [np.flatnonzero(ring).tolist() for ring in graph.rings],
        "edges": edges,
        "influence": [[rounded(value) for value in layer] for layer in one.influence],
        "note": case_note(case, end_note(graph)),
    }
