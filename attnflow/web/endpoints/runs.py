"""Endpoints that tell what a run of a checkpoint gave: its prediction and its attention."""

from __future__ import annotations

from typing import TypedDict

from attnflow.records.root import tokens_of
from attnflow.service import own_models, visitors
from attnflow.service.analyses.common import HEAD, LAYER, check_head
from attnflow.service.case import parted
from attnflow.service.workspace import workspace
from attnflow.views.rounding import rounded
from attnflow.web.endpoints import answers
from attnflow.web.endpoints.answers import ClassAnswer, ModelAnswer, TokenAnswer
from attnflow.web.endpoints.checks import checked_heads, endpoint
from attnflow.web.endpoints.token_answers import SpanAnswer, TokenPredictionAnswer, by_token, no_answer, spans


class PredictAnswer(TypedDict):
    """Answer of `predict`."""

    model: ModelAnswer
    tokens: list[TokenAnswer]
    pruned: list[list[int]]
    roots: list[int]
    decided: list[str] | None
    prediction: list[ClassAnswer] | None
    by_token: list[TokenPredictionAnswer] | None
    answers: list[SpanAnswer] | None
    no_answer: float | None
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


class MomentAnswer(TypedDict):
    """A checkpoint of a training."""

    ref: str
    """What other endpoints take as `model`."""
    label: str


class MomentsAnswer(TypedDict):
    """Answer of `moments`."""

    moments: list[MomentAnswer]
    note: str


OFF = "This head is switched off: it still attends, but its output is multiplied by 0."


@endpoint()
def predict(
    model: str,
    sentence_a: str,
    sentence_b: str = "",
    pruned: list[list[int]] | None = None,
    position: int | None = None,
) -> PredictAnswer:
    """Return what a checkpoint predicts for a sentence pair, with some of its heads switched off if asked for.

    Whatever its task: `prediction` has the classes of a text; `by_token` the classes of each token, each token as start
    and end of an answer, or the likeliest words after each token or in place of each mask; `answers` the best answers.

    Args:
        position: Number of a token, from 0: only what is predicted at it is told in `by_token`.
    """
    case = workspace.case(model, sentence_a, sentence_b, checked_heads("pruned", pruned), position)
    found = answers.predicted(case)
    return {
        "model": answers.model_answer(case.card),
        "tokens": answers.tokens_answer(case.trace.tokens),
        "pruned": answers.pruned_answer(case),
        "roots": list(tokens_of(case.trace.root)),
        "decided": list(found.decided.names) if found.decided else None,
        "prediction": answers.prediction(case),
        "by_token": by_token(case),
        "answers": spans(case),
        "no_answer": no_answer(case),
        "note": answers.case_note(case, answers.prediction_note(case.card)),
    }


@endpoint(one_text=False)
def moments(model: str) -> MomentsAnswer:
    """Return the checkpoints of the training that a checkpoint comes from, first to last.

    On this machine these are the folders `checkpoint-N` that a Trainer leaves; on the Hub, the branches and tags, or
    else the commits, that name a step or an epoch.
    """
    name, _ = parted(model)
    found = own_models.moments_of(name, visitors.own_token())
    refs = [f"{name}@{one.revision or one.commit}".removesuffix("@") for one in found]
    return {
        "moments": [{"ref": ref, "label": one.label} for ref, one in zip(refs, found, strict=True)],
        "note": "" if found else f"No other checkpoints of the training of {name} are known.",
    }


@endpoint(LAYER, HEAD)
def attention_map(
    model: str,
    sentence_a: str,
    sentence_b: str = "",
    *,
    layer: int,
    head: int,
    pruned: list[list[int]] | None = None,
) -> MapAnswer:
    """Return the attention of one head as a table: row attends, column is attended to, each row sums to 1.

    In an encoder-decoder, rows of tokens that take no part in the layer are 0.
    """
    case = workspace.case(model, sentence_a, sentence_b, checked_heads("pruned", pruned))
    values = case.trace.paid[check_head(case.trace, layer, head)]
    off = (layer, head) in case.trace.pruned
    return {
        "model": answers.model_answer(case.card),
        "tokens": answers.tokens_answer(case.trace.tokens),
        "layer": layer,
        "head": head,
        "pruned": answers.pruned_answer(case),
        "attention": [[rounded(value) for value in row] for row in values],
        "note": answers.case_note(case, OFF if off else ""),
    }
