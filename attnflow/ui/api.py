"""The endpoints that programs call by name, through gradio_client, HTTP and MCP.

Each is a typed function without state. Gradio does not check types, so every value is checked where it is used, and
what is wrong comes back as one sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import gradio as gr

from attnflow import service
from attnflow.errors import AttnflowError, SelectionError
from attnflow.flow import compare_flows, flow
from attnflow.rounding import rounded
from attnflow.ui import answers
from attnflow.ui.answers import CompareAnswer, FlowAnswer, MapAnswer, PredictAnswer

P = ParamSpec("P")
R = TypeVar("R")


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
        "model": answers.model_answer(run.card),
        "tokens": answers.tokens_answer(run.trace.tokens),
        "pruned": answers.pruned_answer(run),
        "prediction": answers.prediction(run),
        "note": answers.prediction_note(run.card),
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
    return answers.flow_answer(run, flow(run.trace, tau, alpha, root=start, heads=allowed), alpha)


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
    return answers.comparison_answer(
        a, b, compare_flows(a.trace, b.trace, tau, alpha, root=start, heads=allowed), alpha
    )


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
        "model": answers.model_answer(run.card),
        "tokens": answers.tokens_answer(run.trace.tokens),
        "layer": layer,
        "head": head,
        "pruned": answers.pruned_answer(run),
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
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or abs(value) > 10**9:
        raise SelectionError(f"{name} is {str(value)[:40]!r}; give a whole number, counted from 0.")
    return int(value)
