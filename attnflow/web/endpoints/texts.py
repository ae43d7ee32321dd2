"""Endpoints of many texts: what a checkpoint makes of each, where they lie in the plane, where two models differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, TypedDict, cast

import gradio as gr

from attnflow import limits, progress
from attnflow.corpus.orders import likely_mislabelled, most_different
from attnflow.corpus.texts import BUNDLED
from attnflow.errors import SelectionError
from attnflow.records.survey import Survey
from attnflow.service.case import ModelCard, open_checkpoint
from attnflow.service.collections import Asked, Opened, Page, collections
from attnflow.views.rounding import rounded
from attnflow.web import arguments
from attnflow.web.endpoints import answers
from attnflow.web.endpoints.answers import ModelAnswer
from attnflow.web.endpoints.checks import checked_heads, endpoint

MOST_ROWS = 1_000
"""Rows of one answer."""
PROGRESS = gr.Progress()
FIELDS = ("text_a", "text_b", "label", "guid")


class TextsAnswer(TypedDict):
    """Which texts were read."""

    source: str
    fingerprint: str
    n: int
    total: int | None
    columns: dict[str, str | None]
    labels: list[str]
    left_out: dict[str, int]
    notes: list[str]


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
) -> SurveyAnswer:
    """Return what a checkpoint makes of every text of a collection: decision, confidence, loss and entropy of each."""
    window = _window(offset, limit)
    page, opened = opened_texts(texts, columns, rows, name, split, revision, seed)
    check_classes(labels, model)
    card, found = _read(model, opened, page, labels, pruned, too_long)
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
            for row in range(len(found))[window]
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
) -> ProjectionAnswer:
    """Return where texts lie in the plane, such that near ones stay near, and how far that can be trusted.

    Only who is near whom means something: axes, directions and distances do not.

    Args:
        layer: Whose vectors: 0 for what enters the first layer, up to the number of layers; null for the last.
        method: "pca", "tsne", or "umap" where it is installed.
        of: "hidden" for the vectors that the decision is read from, "behaviour" for what all heads look at.
    """
    window = _window(offset, limit)
    page, opened = opened_texts(texts, columns, rows, name, split, revision, seed)
    card, found = _read(model, opened, page, None, pruned, too_long)
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
        for row, (x, y) in list(enumerate(laid.points.tolist()))[window]
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
        "note": laid.begun,
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
) -> ComparisonAnswer:
    """Return the texts of a collection on which two checkpoints differ most, or that are likely mislabelled.

    Args:
        model_a: The first checkpoint: a Hub id or a bundled one.
        model_b: The second checkpoint.
        order: By the change of the "decision", of "influence" over the words, of the attention "graph", of "behaviour"
            (what heads look at) or of the "loss"; or "mislabelled": all that decide are sure, and wrong by the label.
    """
    window = _window(offset, limit)
    page, opened = opened_texts(texts, columns, rows, name, split, revision, seed)
    check_classes(labels, model_a, model_b)
    cards, surveys = zip(*(_read(ref, opened, page, labels, None, too_long) for ref in (model_a, model_b)), strict=True)
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
            for row, value in zip(found.rows.tolist()[window], found.values.tolist()[window], strict=True)
        ],
        "note": found.sentence,
    }


def opened_texts(
    texts: str, columns: Sequence[str] | None, rows: int, name: str, split: str, revision: str, seed: int
) -> tuple[Page, Opened]:
    """The texts, kept for this call alone if nobody else may read them."""
    wanted = tuple(split_pairs("columns", columns, "text_a=premise").items())
    wrong = [field for field, _ in wanted if field not in FIELDS]
    if wrong:
        raise SelectionError(f"columns names {arguments.came(wrong[0])}; give columns for {', '.join(FIELDS)}.")
    page = Page()
    if not 0 <= seed <= 10**6:
        raise SelectionError(f"seed is {arguments.came(seed)}; give a whole number from 0 to 1,000,000.")
    asked = Asked(texts.strip(), name or None, split or None, revision or None, wanted, rows, seed)
    return page, collections.open(asked, page)


def check_classes(labels: Sequence[str] | None, *refs: str) -> None:
    """Refuse a class that no checkpoint has; each takes those that it has."""
    wanted = {name for name in split_pairs("labels", labels, "1=entailment").values() if name is not None}
    if wanted:
        heads = [open_checkpoint(ref).head for ref in refs]
        known = {name for head in heads if head.classifies_texts for name in head.labels}
        unknown = sorted(wanted - known)
        if unknown:
            named = ", ".join(sorted(known)[:20]) or "none"
            raise SelectionError(f"labels names the class {arguments.came(unknown[0])}; the classes are {named}.")


def _read(
    ref: str, opened: Opened, page: Page, labels: Sequence[str] | None, pruned: Any, too_long: str
) -> tuple[ModelCard, Survey]:
    card = ModelCard.of(open_checkpoint(ref))
    with progress.reporting(lambda what, share: PROGRESS(share, desc=what)):
        found = collections.survey(
            opened,
            card.pinned,
            pruned=checked_heads("pruned", pruned),
            labels=split_pairs("labels", labels, "1=entailment"),
            too_long=cast('Literal["cut", "leave_out"]', too_long),
        )
    return card, found


def split_pairs(argument: str, given: Sequence[str] | None, example: str) -> dict[str, str | None]:
    """Pairs that are written as texts, for an endpoint takes no object; an empty right side is None."""
    found: dict[str, str | None] = {}
    for one in given or ():
        left, sign, right = one.partition("=")
        if not left or not sign:
            raise SelectionError(f"{argument} holds {arguments.came(one)}; give texts such as {example!r}.")
        found[left] = right or None
    return found


def _window(offset: int, limit: int) -> slice:
    if not 0 <= offset <= limits.MAX_TEXTS or not 1 <= limit <= MOST_ROWS:
        raise SelectionError(
            f"offset is {arguments.came(offset)} and limit {arguments.came(limit)}; give an offset from 0 to "
            f"{limits.MAX_TEXTS:,} and a limit from 1 to {MOST_ROWS:,}."
        )
    return slice(offset, offset + limit)


def _number(value: Any) -> float | None:
    return rounded(float(value)) if math.isfinite(value) else None


def texts_answer(opened: Opened) -> TextsAnswer:
    """Which texts were read."""
    texts = opened.texts
    return {
        "source": texts.source,
        "fingerprint": texts.fingerprint,
        "n": len(texts),
        "total": texts.total,
        "columns": {field: getattr(texts.columns, field) for field in FIELDS},
        "labels": list(texts.label_names),
        "left_out": dict(texts.left_out),
        "notes": list(texts.notes),
    }
