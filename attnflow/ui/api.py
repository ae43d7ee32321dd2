"""The endpoints that programs call by name, through gradio_client, HTTP and MCP.

Each is a typed function without state. Gradio does not check types, so every value is checked where it is used, and
what is wrong comes back as one sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from itertools import zip_longest
from typing import Any, ParamSpec, TypedDict, TypeVar

import gradio as gr
import numpy as np

from attnflow import service
from attnflow.errors import AttnflowError, SelectionError
from attnflow.flow import Flow, FlowPair, compare_flows, flow
from attnflow.palette import rounded
from attnflow.records import SPECIAL, Tokens

P = ParamSpec("P")
R = TypeVar("R")


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


def endpoint(function: Callable[P, R]) -> Callable[P, R]:
    """Let a client see the sentence of our own errors; Gradio hides all others."""

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except AttnflowError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return guarded


@endpoint
def predict(model: str, sentence_a: str, sentence_b: str = "", pruned: list[list[int]] | None = None) -> PredictAnswer:
    """Return what a checkpoint predicts for a sentence pair, with some of its heads switched off if asked for.

    Args:
        model: Hub id such as "google-bert/bert-base-uncased", with "@revision" if needed, or "demo/finetuned".
        sentence_a: The first sentence.
        sentence_b: The second sentence; may be empty.
        pruned: Heads to switch off as [layer, head], both counted from 0.
    """
    run = service.run(model, sentence_a, sentence_b, checked_heads("pruned", pruned))
    return {
        "model": model_answer(run.card),
        "tokens": tokens_answer(run.trace.tokens),
        "pruned": _pruned_answer(run),
        "prediction": prediction(run),
        "note": prediction_note(run.card),
    }


@endpoint
def attention_flow(
    model: str,
    sentence_a: str,
    sentence_b: str = "",
    tau: float = 0.1,
    alpha: float = 0.5,
    pruned: list[list[int]] | None = None,
    root: int | None = None,
    heads: list[list[int]] | None = None,
) -> FlowAnswer:
    """Return the attention graph of a checkpoint on a sentence pair, built backwards from the token its task reads.

    Args:
        model: Hub id such as "google-bert/bert-base-uncased", with "@revision" if needed, or "demo/finetuned".
        sentence_a: The first sentence.
        sentence_b: The second sentence; may be empty.
        tau: Attention must be above this threshold to make an edge; from 0 to below 1.
        alpha: Decay of influence for each layer further from the decision; above 0, at most 1.
        pruned: Heads to switch off as [layer, head], both counted from 0.
        root: Position of the token to start from, counted from 0; the one that the task reads if left out.
        heads: Heads that may carry edges as [layer, head]; all if left out.
    """
    run = service.run(model, sentence_a, sentence_b, checked_heads("pruned", pruned))
    allowed = None if heads is None else checked_heads("heads", heads)
    start = None if root is None else whole_number("root", root)
    return _flow_answer(run, flow(run.trace, tau, alpha, root=start, heads=allowed), alpha)


@endpoint
def compare_attention_flow(
    model_a: str,
    model_b: str,
    sentence_a: str,
    sentence_b: str = "",
    tau: float = 0.1,
    alpha: float = 0.5,
    root: int | None = None,
    heads: list[list[int]] | None = None,
) -> CompareAnswer:
    """Return the attention graphs of two checkpoints on one sentence pair, and what they share.

    Checkpoints that cut the text into the same pieces are compared piece by piece, others word by word. The lists
    `shared`, `only_a` and `only_b` hold unit numbers for each ring, counted from the decision outwards.

    Args:
        model_a: Hub id of the first checkpoint, with "@revision" if needed, or "demo/pretrained".
        model_b: Hub id of the second checkpoint, or "demo/finetuned".
        sentence_a: The first sentence.
        sentence_b: The second sentence; may be empty.
        tau: Attention must be above this threshold to make an edge; from 0 to below 1.
        alpha: Decay of influence for each layer further from the decision; above 0, at most 1.
        root: Number of the unit to start from, counted from 0; what each task reads if left out.
        heads: Heads that may carry edges as [layer, head], by the layers of the deeper model; all if left out.
    """
    a, b = (service.run(model, sentence_a, sentence_b) for model in (model_a, model_b))
    allowed = None if heads is None else checked_heads("heads", heads)
    start = None if root is None else whole_number("root", root)
    return comparison_answer(a, b, compare_flows(a.trace, b.trace, tau, alpha, root=start, heads=allowed), alpha)


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
        "a": _flow_answer(a, flows.a, alpha),
        "b": _flow_answer(b, flows.b, alpha),
        "only_a": [sorted(left - right) for left, right in both],
        "only_b": [sorted(right - left) for left, right in both],
        "shared": [sorted(left & right) for left, right in both],
        "note": comparison_note(pairing.unit),
    }


@endpoint
def attention_map(
    model: str,
    sentence_a: str,
    sentence_b: str = "",
    layer: int = 0,
    head: int = 0,
    pruned: list[list[int]] | None = None,
) -> MapAnswer:
    """Return the attention of one head as a table: row attends, column is attended to, each row sums to 1.

    Args:
        model: Hub id such as "google-bert/bert-base-uncased", with "@revision" if needed, or "demo/finetuned".
        sentence_a: The first sentence.
        sentence_b: The second sentence; may be empty.
        layer: Layer, counted from 0.
        head: Head, counted from 0.
        pruned: Heads to switch off as [layer, head], both counted from 0.
    """
    run = service.run(model, sentence_a, sentence_b, checked_heads("pruned", pruned))
    layer, head = whole_number("layer", layer), whole_number("head", head)
    values = service.attention_map(run.trace, layer, head)
    off = (layer, head) in run.trace.pruned
    return {
        "model": model_answer(run.card),
        "tokens": tokens_answer(run.trace.tokens),
        "layer": layer,
        "head": head,
        "pruned": _pruned_answer(run),
        "attention": [[rounded(value) for value in row] for row in values],
        "note": "This head is switched off: it still attends, but its output is multiplied by 0." if off else "",
    }


ENDPOINTS: tuple[Callable[..., Any], ...] = (predict, attention_flow, compare_attention_flow, attention_map)
"""All published functions; their names are the names of the endpoints."""


def checked_heads(name: str, heads: Any) -> list[tuple[int, int]]:
    """Heads as pairs; none if None.

    Raises:
        SelectionError: If they are no list of pairs of whole numbers. Whether they exist is checked where they serve.
    """
    if heads is None:
        return []
    if not isinstance(heads, list | tuple) or not all(isinstance(h, list | tuple) and len(h) == 2 for h in heads):
        raise SelectionError(f"{name} is {str(heads)[:80]!r}; give a list of [layer, head], such as [[0, 3], [2, 1]].")
    return [(whole_number(f"a layer of {name}", at), whole_number(f"a head of {name}", head)) for at, head in heads]


def whole_number(name: str, value: Any) -> int:
    """A number that JSON may have turned into a float.

    Raises:
        SelectionError: If it is not whole.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not float(value).is_integer():
        raise SelectionError(f"{name} is {value!r}; give a whole number, counted from 0.")
    return int(value)


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


def _pruned_answer(run: service.Run) -> list[list[int]]:
    return [list(head) for head in sorted(run.trace.pruned)]


def _unit_rings(one: Flow, place: np.ndarray) -> list[frozenset[int]]:
    """Units in each ring, from the root outwards."""
    return [
        frozenset(unit for unit, token in enumerate(place.tolist()) if token >= 0 and ring[token])
        for ring in one.graph.rings[::-1]
    ]


def _flow_answer(run: service.Run, one: Flow, alpha: float) -> FlowAnswer:
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
        "pruned": _pruned_answer(run),
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
