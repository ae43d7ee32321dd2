"""Endpoints of many texts: what a checkpoint makes of each, where they lie in the plane, where two models differ."""

from __future__ import annotations

import math
from typing import Any, Literal, TypedDict, cast

from attnflow.corpus.orders import likely_mislabelled, most_different
from attnflow.corpus.texts import BUNDLED
from attnflow.service.collections import collections
from attnflow.views.rounding import rounded
from attnflow.web.arguments import SentFile
from attnflow.web.endpoints import answers
from attnflow.web.endpoints.answers import ModelAnswer
from attnflow.web.endpoints.checks import endpoint
from attnflow.web.endpoints.opened_texts import TextsAnswer, check_classes, opened_texts, read, texts_answer, window


class SurveyRow(TypedDict):
    """What a checkpoint made of one text; null is what does not exist."""

    row: int
    guid: str
    text_a: str
    text_b: str | None
    label: str | float | None
    decision: str | None
    right: bool | None
    confidence: float | None
    loss: float | None
    entropy: float | None
    length: int
    cut: int
    reason: str | None


class SurveyAnswer(TypedDict):
    """What a checkpoint made of a collection."""

    model: ModelAnswer
    texts: TextsAnswer
    pruned: list[list[int]]
    classes: list[str]
    units: dict[str, str]
    labelled: int
    accuracy: float | None
    unmatched: dict[str, int]
    n: int
    offset: int
    rows: list[SurveyRow]
    note: str


class PointAnswer(TypedDict):
    """Where a text lies; null where it was not read."""

    row: int
    guid: str
    x: float | None
    y: float | None
    preserved: float | None


class ProjectionAnswer(TypedDict):
    """A layout of texts in the plane."""

    model: ModelAnswer
    texts: TextsAnswer
    of: str
    layer: int
    method: str
    trustworthiness: float | None
    continuity: float | None
    neighbours: int
    n: int
    offset: int
    points: list[PointAnswer]
    note: str


class ComparedRow(TypedDict):
    """A text of an order, and what both checkpoints decide."""

    row: int
    value: float
    guid: str
    text_a: str
    text_b: str | None
    label: str | float | None
    decision_a: str | None
    decision_b: str | None


class ComparisonAnswer(TypedDict):
    """Texts in an order of two checkpoints."""

    model_a: ModelAnswer
    model_b: ModelAnswer
    texts: TextsAnswer
    order: str
    quantity: str
    n: int
    offset: int
    rows: list[ComparedRow]
    note: str


@endpoint(one_text=False)
def survey(
    model: str,
    texts: str = BUNDLED,
    columns: list[str] | None = None,
    rows: int = 200,
    name: str = "",
    split: str = "",
    revision: str = "",
    labels: list[str] | None = None,
    seed: int = 0,
    pruned: list[list[int]] | None = None,
    too_long: Literal["cut", "leave_out"] = "cut",
    offset: int = 0,
    limit: int = 100,
    file: SentFile | None = None,
) -> SurveyAnswer:
    """Return what a checkpoint makes of every text of a collection: decision, confidence, loss and entropy of each."""
    part = window(offset, limit)
    with opened_texts(texts, columns, rows, name, split, revision, seed, file) as (page, opened):
        check_classes(labels, model)
        card, found = read(model, opened, page, labels, pruned, too_long)
        known = int(found.known.sum())
        decisions = found.decision_names
        return {
            "model": answers.model_answer(card),
            "texts": texts_answer(opened),
            "pruned": [list(head) for head in found.settings.pruned],
            "classes": list(found.labels),
            "units": {
                "confidence": "probability",
                "loss": "squared error" if found.settings.problem == "regression" else "nats",
                "entropy": "nats",
                "length": "tokens",
                "cut": "tokens",
            },
            "labelled": known,
            "accuracy": rounded(int(found.right.sum()) / known) if known else None,
            "unmatched": dict(found.unmatched),
            "n": len(found),
            "offset": offset,
            "rows": [
                {
                    "row": row,
                    "guid": found.guids[row],
                    "text_a": opened.texts[row].text_a,
                    "text_b": opened.texts[row].text_b,
                    "label": found.gold_labels[row],
                    "decision": decisions[row],
                    "right": bool(found.right[row]) if found.known[row] else None,
                    "confidence": _number(found.confidence[row]),
                    "loss": _number(found.loss[row]),
                    "entropy": _number(found.entropy[row]),
                    "length": int(found.length[row]),
                    "cut": int(found.cut[row]),
                    "reason": found.reasons.get(row),
                }
                for row in range(len(found))[part]
            ],
            "note": answers.prediction_note(card),
        }


@endpoint(one_text=False)
def projection(
    model: str,
    texts: str = BUNDLED,
    layer: int | None = None,
    method: Literal["pca", "tsne", "umap"] = "pca",
    of: Literal["hidden", "behaviour"] = "hidden",
    columns: list[str] | None = None,
    rows: int = 200,
    name: str = "",
    split: str = "",
    revision: str = "",
    seed: int = 0,
    pruned: list[list[int]] | None = None,
    too_long: Literal["cut", "leave_out"] = "cut",
    offset: int = 0,
    limit: int = 1000,
    file: SentFile | None = None,
) -> ProjectionAnswer:
    """Return where texts lie in the plane, such that near ones stay near, and how far that can be trusted.

    Only who is near whom means something: axes, directions and distances do not.

    Args:
        layer: Whose vectors: 0 for what enters the first layer, up to the number of layers; null for the last.
        method: "pca", "tsne", or "umap" where it is installed.
        of: "hidden" for the vectors that the decision is read from, "behaviour" for what all heads look at.
    """
    part = window(offset, limit)
    with opened_texts(texts, columns, rows, name, split, revision, seed, file) as (page, opened):
        card, found = read(model, opened, page, None, pruned, too_long)
        layer = found.settings.n_layers if layer is None else layer
        laid = collections.layout(opened, found, of, layer, method)
        points = [
            {
                "row": row,
                "guid": found.guids[row],
                "x": _number(x),
                "y": _number(y),
                "preserved": _number(laid.preserved[row]),
            }
            for row, (x, y) in list(enumerate(laid.points.tolist()))[part]
        ]
        return {
            "model": answers.model_answer(card),
            "texts": texts_answer(opened),
            "of": of,
            "layer": layer,
            "method": method,
            "trustworthiness": _number(laid.trustworthiness),
            "continuity": _number(laid.continuity),
            "neighbours": laid.neighbours,
            "n": len(found),
            "offset": offset,
            "points": cast("list[PointAnswer]", points),
            "note": laid.note,
        }


@endpoint(one_text=False)
def compare_texts(
    model_a: str,
    model_b: str,
    texts: str = BUNDLED,
    order: Literal["decision", "influence", "graph", "behaviour", "loss", "mislabelled"] = "influence",
    columns: list[str] | None = None,
    rows: int = 200,
    name: str = "",
    split: str = "",
    revision: str = "",
    labels: list[str] | None = None,
    seed: int = 0,
    too_long: Literal["cut", "leave_out"] = "cut",
    offset: int = 0,
    limit: int = 100,
    file: SentFile | None = None,
) -> ComparisonAnswer:
    """Return the texts of a collection on which two checkpoints differ most, or that are likely mislabelled.

    Args:
        model_a: The first checkpoint: a Hub id or a bundled one.
        model_b: The second checkpoint.
        order: By the change of the "decision", of "influence" over the words, of the attention "graph", of "behaviour"
            (what heads look at) or of the "loss"; or "mislabelled": all that decide are sure, and wrong by the label.
    """
    part = window(offset, limit)
    with opened_texts(texts, columns, rows, name, split, revision, seed, file) as (page, opened):
        check_classes(labels, model_a, model_b)
        cards, surveys = zip(
            *(read(ref, opened, page, labels, None, too_long) for ref in (model_a, model_b)), strict=True
        )
        a, b = surveys
        if order == "mislabelled":
            found = likely_mislabelled(*([one for one in (a, b) if one.has_classes] or (a, b)))
        else:
            found = collections.orders(opened, [a, b]).get(order) or most_different(a, b, order)
        decisions = a.decision_names, b.decision_names
        return {
            "model_a": answers.model_answer(cards[0]),
            "model_b": answers.model_answer(cards[1]),
            "texts": texts_answer(opened),
            "order": order,
            "quantity": found.quantity,
            "n": len(found.rows),
            "offset": offset,
            "rows": [
                {
                    "row": row,
                    "value": rounded(value),
                    "guid": a.guids[row],
                    "text_a": opened.texts[row].text_a,
                    "text_b": opened.texts[row].text_b,
                    "label": a.gold_labels[row],
                    "decision_a": decisions[0][row],
                    "decision_b": decisions[1][row],
                }
                for row, value in zip(found.rows.tolist()[part], found.values.tolist()[part], strict=True)
            ],
            "note": found.sentence,
        }


def _number(value: Any) -> float | None:
    return rounded(float(value)) if math.isfinite(value) else None
