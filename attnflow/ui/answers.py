"""What the endpoints answer: records as plain JSON, with the commit of the model that gave them."""

from __future__ import annotations

from itertools import zip_longest
from typing import TypedDict

import numpy as np

from attnflow import service
from attnflow.flow import Flow, FlowPair
from attnflow.records import SPECIAL, Tokens
from attnflow.rounding import rounded


class ModelAnswer(TypedDict):
    """Which checkpoint answered."""

    ref: str
    sha: str
    architecture: str
    layers: int
    heads: int
    parameters: int
    task_head: str
    trained_classifier: bool


class TokenAnswer(TypedDict):
    """One unit along a token axis."""

    text: str
    piece: str
    sentence: int | None
    word: int


class ClassAnswer(TypedDict):
    """One class of a prediction."""

    label: str
    score: float
    probability: float | None


class PredictAnswer(TypedDict):
    """Answer of `predict`."""

    model: ModelAnswer
    tokens: list[TokenAnswer]
    pruned: list[list[int]]
    prediction: list[ClassAnswer] | None
    note: str


class EdgeAnswer(TypedDict):
    """Token `query` of ring `layer + 1` attends to token `key` of ring `layer` with these heads."""

    layer: int
    query: int
    key: int
    heads: list[int]
    weights: list[float]


class FlowAnswer(TypedDict):
    """The attention graph and influence of one model."""

    model: ModelAnswer
    tokens: list[TokenAnswer]
    unit: str
    root: int
    tau: float
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


class MapAnswer(TypedDict):
    """The attention of one head."""

    model: ModelAnswer
    tokens: list[TokenAnswer]
    layer: int
    head: int
    pruned: list[list[int]]
    attention: list[list[float]]
    note: str


def comparison_answer(a: service.Run, b: service.Run, flows: FlowPair, alpha: float) -> CompareAnswer:
    """Both graphs and what they share."""
    pairing = flows.pairing
    rings_a, rings_b = _unit_rings(flows.a, pairing.in_a), _unit_rings(flows.b, pairing.in_b)
    both = list(zip_longest(rings_a, rings_b, fillvalue=frozenset()))
    return {
        "unit": pairing.unit,
        "units": [
            {
                "text": text,
                "sentence": _sentence(part),
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


def model_answer(card: service.ModelCard) -> ModelAnswer:
    """What tells the checkpoint that answered from every other."""
    return {
        "ref": card.ref,
        "sha": card.sha,
        "architecture": card.architecture,
        "layers": card.n_layers,
        "heads": card.n_heads,
        "parameters": card.n_parameters,
        "task_head": card.head.kind,
        "trained_classifier": card.head.kind == "sequence-classification" and card.head.trained,
    }


def tokens_answer(tokens: Tokens) -> list[TokenAnswer]:
    """The units of a token axis."""
    return [
        {"text": text, "piece": piece, "sentence": _sentence(part), "word": int(word)}
        for text, piece, part, word in zip(tokens.text, tokens.piece, tokens.sentence, tokens.word, strict=True)
    ]


def prediction(run: service.Run) -> list[ClassAnswer] | None:
    """Score and probability of every class, or None without a trained classification head."""
    trace = run.trace
    if trace.scores is None:
        return None
    probabilities = [None] * len(trace.labels) if trace.probabilities is None else trace.probabilities
    return [
        {"label": label, "score": rounded(score), "probability": None if p is None else rounded(p)}
        for label, score, p in zip(trace.labels, trace.scores, probabilities, strict=True)
    ]


def prediction_note(card: service.ModelCard) -> str:
    """Why there is no prediction, or what its numbers are."""
    if card.head.kind != "sequence-classification":
        return "No classification head: this checkpoint was not trained to classify, so it predicts no class."
    if not card.head.trained:
        return "No classification head: the file lacks its weights, and a fresh one would predict at random."
    if card.head.problem == "regression":
        return "A single score, not a probability."
    if card.head.problem == "multi_label":
        return "Each class is decided by itself; probabilities need not sum to 1."
    return ""


def comparison_note(unit: str) -> str:
    """On what two models are compared."""
    if unit == "word":
        return "Compared word by word: attention to a word is the sum over its pieces, attention from it the mean."
    return "Compared piece by piece: both checkpoints cut the text into the same pieces."


def _sentence(part: int) -> int | None:
    return None if part == SPECIAL else int(part)


def pruned_answer(run: service.Run) -> list[list[int]]:
    """The heads that were switched off."""
    return [list(head) for head in sorted(run.trace.pruned)]


def _unit_rings(one: Flow, place: np.ndarray) -> list[frozenset[int]]:
    """Units in each ring, from the root outwards."""
    return [
        frozenset(unit for unit, token in enumerate(place.tolist()) if token >= 0 and ring[token])
        for ring in one.graph.rings[::-1]
    ]


def flow_answer(run: service.Run, one: Flow, alpha: float) -> FlowAnswer:
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
        "model": model_answer(run.card),
        "tokens": tokens_answer(one.trace.tokens),
        "unit": one.trace.tokens.unit,
        "root": graph.root,
        "tau": graph.tau,
        "alpha": float(alpha),
        "pruned": pruned_answer(run),
        "rings": [np.flatnonzero(ring).tolist() for ring in graph.rings],
        "edges": edges,
        "influence": [[rounded(value) for value in layer] for layer in one.influence],
        "note": end_note(graph.ends_at, graph.tau),
    }


def end_note(ends_at: int | None, tau: float) -> str:
    """Says where a graph ends early."""
    if ends_at is None:
        return ""
    return f"The graph ends at L{ends_at + 1}: no head there attends to anything above tau = {tau:g}."
