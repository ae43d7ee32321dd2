"""Endpoints of the heads: what each matters, and what happens without them."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

import numpy as np

from attnflow.errors import SelectionError
from attnflow.service.analyses.heads import CURVE, IMPORTANCE, INTERACTIONS, root_shift
from attnflow.service.analyses.statistics import HEAD_TABLES
from attnflow.service.workspace import workspace
from attnflow.stats.flow import flow
from attnflow.views.rounding import rounded
from attnflow.web.endpoints import answers
from attnflow.web.endpoints.answers import ClassAnswer, ModelAnswer, TokenAnswer
from attnflow.web.endpoints.checks import checked_heads, endpoint

TAU, ALPHA = 0.1, 0.5
"""At which `prune_heads` compares influence: the defaults of `attention_flow`."""


class ImportanceAnswer(TypedDict):
    """Importance of every head for one pair."""

    model: ModelAnswer
    method: str
    quantity: str
    target: str | None
    importance: list[list[float]]
    note: str


class HeadStatisticAnswer(TypedDict):
    """One number for each head, of one text or over many."""

    model: ModelAnswer
    statistic: str
    over: str
    n: int
    values: list[list[float]]
    pruned: list[list[int]]
    note: str


class ChangeAnswer(TypedDict):
    """One class before and after."""

    label: str
    score: float
    probability: float | None


class InfluenceAnswer(TypedDict):
    """The influence of one token before and after, in heads."""

    token: int
    text: str
    before: float
    after: float


class PruneAnswer(TypedDict):
    """What switching heads off changes."""

    model: ModelAnswer
    tokens: list[TokenAnswer]
    pruned: list[list[int]]
    before: list[ClassAnswer] | None
    after: list[ClassAnswer] | None
    change: list[ChangeAnswer] | None
    root_shift: float
    influence: list[InfluenceAnswer]
    tau: float
    alpha: float
    note: str


class RandomAnswer(TypedDict):
    """The same measure in random orders."""

    runs: int
    mean: list[float]
    spread: list[float]


class CurveAnswer(TypedDict):
    """A pruning curve."""

    model: ModelAnswer
    order: str
    heads: list[list[int]]
    removed: list[int]
    measure: str
    score: list[float]
    random: RandomAnswer
    note: str


class InteractionAnswer(TypedDict):
    """What one head does together with each other."""

    model: ModelAnswer
    layer: int
    head: int
    quantity: str
    single: list[list[float]]
    pair: list[list[float]]
    interaction: list[list[float]]
    note: str


@endpoint(*IMPORTANCE.parameters)
def head_importance(
    model: str, sentence_a: str, sentence_b: str = "", *, method: str, position: int | None = None
) -> ImportanceAnswer:
    """Return how much each head matters for what a checkpoint predicts of a sentence pair, raw, as [layer][head]."""
    case = workspace.case(model, sentence_a, sentence_b, position=position)
    view = case.ask(IMPORTANCE, method=method)
    return {
        "model": answers.model_answer(case.card),
        "method": view.method,
        "quantity": view.quantity,
        "target": view.target,
        "importance": _table(view.values),
        "note": answers.case_note(case, view.note),
    }


@endpoint()
def head_statistic(
    model: str,
    sentence_a: str,
    sentence_b: str = "",
    statistic: str = "entropy",
    over: Literal["text", "bundled"] = "text",
    pruned: list[list[int]] | None = None,
) -> HeadStatisticAnswer:
    """Return one number for each head, as [layer][head]: how widely it spreads its attention.

    Args:
        statistic: "entropy" (in nats, mean over the tokens of a text).
        over: "text" for these sentences, "bundled" for the mean over 64 pairs that come with attnflow.
    """
    if statistic not in HEAD_TABLES:
        raise SelectionError(f"There is no statistic {statistic[:60]!r}; choose {', '.join(HEAD_TABLES)}.")
    table = HEAD_TABLES[statistic]
    case = workspace.case(model, sentence_a, sentence_b, checked_heads("pruned", pruned))
    found = case.ask(table.over_texts if over == "bundled" else table.of_text)
    return {
        "model": answers.model_answer(case.card),
        "statistic": statistic,
        "over": over,
        "n": found.n,
        "values": [[rounded(value) for value in layer] for layer in table.table(found)],
        "pruned": answers.pruned_answer(case),
        "note": answers.case_note(case, table.says),
    }


@endpoint()
def prune_heads(
    model: str,
    sentence_a: str,
    sentence_b: str = "",
    pruned: list[list[int]] | None = None,
    position: int | None = None,
) -> PruneAnswer:
    """Return what a checkpoint predicts before and after heads are switched off, and which tokens' influence changed.

    What is predicted are the classes of the text or of the token that is meant, or the likeliest words or answers.

    Influence is that of `attention_flow` from the first layer on, at its default tau and alpha; tokens whose influence
    stays are left out.
    """
    after = workspace.case(model, sentence_a, sentence_b, checked_heads("pruned", pruned), position)
    before = workspace.without(after, [])
    old, new = (answers.likely(case) for case in (before, after))
    change: list[ChangeAnswer] | None = None
    if old is not None and new is not None:
        change = [
            {
                "label": one["label"],
                "score": rounded(other["score"] - one["score"]),
                "probability": None
                if one["probability"] is None or other["probability"] is None
                else rounded(other["probability"] - one["probability"]),
            }
            for one, other in answers.before_and_after(before, after)
        ]
    influence = [flow(case.trace, TAU, ALPHA).influence[0] for case in (before, after)]
    rows = zip(after.trace.tokens.text, *(values.tolist() for values in influence), strict=True)
    return {
        "model": answers.model_answer(after.card),
        "tokens": answers.tokens_answer(after.trace.tokens),
        "pruned": answers.pruned_answer(after),
        "before": old,
        "after": new,
        "change": change,
        "root_shift": rounded(root_shift(before, after)),
        "influence": [
            {"token": index, "text": text, "before": rounded(was), "after": rounded(now)}
            for index, (text, was, now) in enumerate(rows)
            if was != now
        ],
        "tau": TAU,
        "alpha": ALPHA,
        "note": answers.case_note(after, answers.prediction_note(after.card)),
    }


@endpoint(*CURVE.parameters)
def pruning_curve(
    model: str, sentence_a: str, sentence_b: str = "", *, order: str, steps: int | None, position: int | None = None
) -> CurveAnswer:
    """Return how a prediction holds as more and more heads are removed, in one order and at random."""
    case = workspace.case(model, sentence_a, sentence_b, position=position)
    view = case.ask(CURVE, order=order, steps=steps)
    return {
        "model": answers.model_answer(case.card),
        "order": view.chosen.order,
        "heads": [list(head) for head in view.chosen.heads[0]],
        "removed": view.chosen.removed.tolist(),
        "measure": view.chosen.measure,
        "score": [rounded(value) for value in view.chosen.score[0]],
        "random": {
            "runs": len(view.random.score),
            "mean": [rounded(value) for value in view.random.score.mean(0)],
            "spread": [rounded(value) for value in view.random.score.std(0, ddof=1)],
        },
        "note": answers.case_note(case, view.note),
    }


@endpoint(*INTERACTIONS.parameters)
def head_interactions(
    model: str, sentence_a: str, sentence_b: str = "", *, layer: int, head: int, position: int | None = None
) -> InteractionAnswer:
    """Return who backs up a head: what removing it together with each other head does beyond removing each alone.

    Tables are [layer][head], changes of the loss. `interaction` = `pair` less both entries of `single`; above 0 the
    two back each other up.
    """
    case = workspace.case(model, sentence_a, sentence_b, position=position)
    at = (layer, head)
    view = case.ask(INTERACTIONS, layer=at[0], head=at[1])
    return {
        "model": answers.model_answer(case.card),
        "layer": at[0],
        "head": at[1],
        "quantity": view.quantity,
        "single": _table(view.found.single),
        "pair": _table(view.found.pair),
        "interaction": _table(view.found.interaction),
        "note": answers.case_note(case, view.note),
    }


def _table(values: np.ndarray[Any, Any]) -> list[list[float]]:
    return [[rounded(value) for value in row] for row in values.tolist()]
