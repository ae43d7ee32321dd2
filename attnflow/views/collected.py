"""A collection of texts that one model or two have read, as the map of texts draws it, and the answers about rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from attnflow.records.laid import Laid
from attnflow.records.survey import Survey
from attnflow.records.texts import Text, Texts
from attnflow.views.collection import (
    Collection,
    Decided,
    Found,
    Layout,
    LayoutOf,
    Method,
    Rows,
    RowsOf,
    Search,
    TextColumn,
    TextOrder,
    TextTraining,
)
from attnflow.views.packed import packed
from attnflow.views.payloads import SIDES

MOST_KINDS = 50
"""Names of a column of the source that are kinds; a column with more is not one to filter and colour by."""
MOST_COLUMNS = 40
"""Columns of the source that are sent to the page."""
MOST_ROWS = 200
"""Rows whose texts are sent at a time."""
MOST_SHOWN = 1_000
"""Characters of a cell of the table."""
MISSING = 0xFFFF
"""The kind of a text that has none."""
_NO_YES = ("no", "yes")
OWN_FIELDS = ("first text", "second text", "label")


@dataclass(frozen=True)
class Ranking:
    """A number of every text that is worth ordering them by."""

    name: str
    """Of its column."""
    title: str
    column: NDArray[np.float64]
    """`[N]`, NaN for texts that are not in the order."""
    quantity: str
    """What the number is, in a few words."""
    sentence: str
    """How to read the order."""


def collection(
    key: str,
    texts: Texts,
    surveys: Sequence[Survey],
    rankings: Iterable[Ranking] = (),
    *,
    methods: Sequence[Method] = ("pca",),
    notes: Iterable[str] = (),
    more_columns: Iterable[TextColumn] = (),
    more_orders: Iterable[TextOrder] = (),
    training: TextTraining | None = None,
    layouts: Sequence[str] = (),
) -> Collection:
    """Describe a collection of texts as one model or two read it.

    Args:
        key: What tells it from every other collection and pair of models.
        texts: The texts.
        surveys: What A, or A and B, made of them.
        rankings: Orders that compare or join the models.
        methods: Projections that are installed.
        notes: What else is to be said, in sentences.
        more_columns: What else is known of the texts.
        more_orders: Orders by these.
        training: How the texts were learnt.
        layouts: Of each model, what tells its layouts from all others of these texts; made of `key` if there are none.
    """
    rankings = [one for one in rankings if np.isfinite(one.column).any()]
    own, decided = _columns(texts, surveys)
    columns = [*own, *map(_of_ranking, rankings), *more_columns, *source_columns(texts)]
    return {
        "key": key,
        "texts": texts.fingerprint,
        "layouts": list(layouts) or [f"{key} {side}" for side in SIDES[: len(surveys)]],
        "n": len(texts),
        "source": texts.source,
        "about": " ".join(filter(None, [*_about_texts(texts), *_about_models(texts, surveys), *notes])),
        "models": [survey.settings.model for survey in surveys],
        "layers": [survey.settings.n_layers for survey in surveys],
        "columns": columns,
        "orders": [*map(_order, rankings), *_orders_of_loss(surveys), *more_orders],
        "decided": decided,
        "methods": list(methods),
        "fields": fields(texts),
        "training": training,
    }


# ---- columns


def _columns(texts: Texts, surveys: Sequence[Survey]) -> tuple[list[TextColumn], list[Decided]]:
    columns, decided = _label(texts), list[Decided]()
    for side, survey in zip(SIDES, surveys, strict=False):
        if survey.decision is not None:
            columns += _of_decision(side, survey)
            if survey.known.any():
                columns.append(_gold(side, survey))
                decided.append({"side": side, "gold": f"gold_{side}", "decision": f"decision_{side}"})
        if np.isfinite(survey.loss).any():
            unit = (
                "squared error"
                if survey.settings.problem == "regression"
                else "-log of the label's probability, in nats"
            )
            columns.append(
                numbers(f"loss_{side}", f"Loss, {side.upper()}", f"How wrong the model is: {unit}.", survey.loss)
            )
        length = np.where(survey.usable, survey.length, np.nan)
        says = "Tokens that the model read, special ones included."
        columns.append(numbers(f"length_{side}", f"Length, {side.upper()}", says, length))
    flipped = _flipped(surveys)
    return columns + ([] if flipped is None else [flipped]), decided


def _label(texts: Texts) -> list[TextColumn]:
    """The label as the source tells it."""
    labels = [text.label for text in texts]
    if any(isinstance(label, float) for label in labels):
        values = [label if isinstance(label, int | float) else math.nan for label in labels]
        return [numbers("label", "Label", "The gold value, as the source tells it.", np.array(values, np.float64))]
    names = list(dict.fromkeys([*texts.label_names, *(label for label in labels if label is not None)]))
    if not 0 < len(names) < MISSING:
        return []
    place = {name: number for number, name in enumerate(names)}
    index = [place[label] if label is not None else -1 for label in labels]
    return [kinds("label", "Label", "The gold class, as the source names it.", [str(name) for name in names], index)]


def _of_decision(side: str, survey: Survey) -> list[TextColumn]:
    name, model = side.upper(), survey.settings.model
    assert survey.decision is not None, "of models that decide alone"
    right = np.where(survey.known, survey.right, -1)
    columns = [
        kinds(
            f"decision_{side}", f"Decision, {name}", f"The likeliest class by {model}.", survey.labels, survey.decision
        )
    ]
    if survey.known.any():
        says = "Whether the decision is the class that the label names."
        columns.append(kinds(f"right_{side}", f"Right, {name}", says, _NO_YES, right))
    says = "Probability of the decision, from 0 to 1."
    columns.append(numbers(f"confidence_{side}", f"Confidence, {name}", says, survey.confidence))
    says = "How undecided the model is: entropy of its probabilities, in nats."
    columns.append(numbers(f"entropy_{side}", f"Entropy, {name}", says, survey.entropy))
    return columns


def _gold(side: str, survey: Survey) -> TextColumn:
    says = f"The class of {survey.settings.model} that the label stands for; missing where it stands for none."
    return kinds(f"gold_{side}", f"Label as a class of {side.upper()}", says, survey.labels, survey.gold)


def _flipped(surveys: Sequence[Survey]) -> TextColumn | None:
    """Whether both models decide for classes of other names; None unless they choose between the same ones."""
    if len(surveys) < 2 or any(one.decision is None for one in surveys):
        return None
    names = [[label.strip().casefold() for label in one.labels] for one in surveys]
    if sorted(names[0]) != sorted(names[1]) or len(set(names[0])) < len(names[0]):
        return None
    a, b = (cast("NDArray[np.int64]", one.decision) for one in surveys)
    here = np.array([names[0].index(name) for name in names[1]])
    flipped = np.where((a >= 0) & (b >= 0), a != here[b], -1)
    return kinds("flipped", "Decision flipped", "Whether A and B decide for classes of other names.", _NO_YES, flipped)


def source_columns(texts: Texts) -> list[TextColumn]:
    """What else the source says of the texts: numbers, and kinds where there are few different values."""
    found: list[TextColumn] = []
    for name in meta_names(texts):
        values = [text.meta.get(name) for text in texts]
        there = [value for value in values if value is not None]
        key, title, says = f"meta:{name}", name[:60], f"Column {name[:60]!r} of the source."
        if not there:
            continue
        if all(isinstance(value, bool) for value in there):
            index = [-1 if value is None else int(bool(value)) for value in values]
            found.append(kinds(key, title, says, _NO_YES, index))
        elif all(isinstance(value, int | float) and not isinstance(value, bool) for value in there):
            floats = [_finite(cast("float | None", value)) for value in values]
            found.append(numbers(key, title, says, np.array(floats)))
        else:
            names = list(dict.fromkeys(str(value) for value in there))
            if len(names) <= MOST_KINDS:
                place = {one: number for number, one in enumerate(names)}
                index = [-1 if value is None else place[str(value)] for value in values]
                found.append(kinds(key, title, says, [one[:200] for one in names], index))
    return found


def meta_names(texts: Texts) -> list[str]:
    """The columns of the source that are shown, as they first come."""
    names: dict[str, None] = {}
    for text in texts:
        names |= dict.fromkeys(text.meta)
    return list(names)[:MOST_COLUMNS]


def _finite(value: float | None) -> float:
    """A number as a float; whole ones may be larger than any."""
    try:
        return math.nan if value is None else float(value)
    except OverflowError:
        return math.nan


def _of_ranking(ranking: Ranking) -> TextColumn:
    says = ranking.quantity[:1].upper() + ranking.quantity[1:] + "."
    return numbers(ranking.name, ranking.title, says, ranking.column)


def numbers(name: str, title: str, says: str, values: NDArray[np.floating]) -> TextColumn:
    """A column of numbers; what is not finite is missing."""
    with np.errstate(over="ignore"):
        values = np.asarray(values, "<f4")
    sent = packed(np.where(np.isfinite(values), values, np.float32(np.nan)).astype("<f4"))
    return {"name": name, "title": title, "kind": "number", "help": says, "kinds": [], "values": sent}


def kinds(name: str, title: str, says: str, names: Sequence[str], index: Any) -> TextColumn:
    """A column of kinds by their number; one below 0 is missing."""
    numbered = np.asarray(index, np.int64)
    sent = packed(np.where(numbered < 0, MISSING, numbered).astype("<u2"))
    return {"name": name, "title": title, "kind": "kind", "help": says, "kinds": list(names), "values": sent}


# ---- orders and sentences


def _order(ranking: Ranking) -> TextOrder:
    return {"name": ranking.name, "title": ranking.title, "sentence": ranking.sentence, "column": ranking.name}


def _orders_of_loss(surveys: Sequence[Survey]) -> list[TextOrder]:
    return [
        {
            "name": f"loss_{side}",
            "title": f"Largest loss of {side.upper()}",
            "sentence": f"First the texts on which {side.upper()} is furthest from the label.",
            "column": f"loss_{side}",
        }
        for side, survey in zip(SIDES, surveys, strict=False)
        if np.isfinite(survey.loss).any()
    ]


def _about_texts(texts: Texts) -> list[str]:
    left = [f"{count:,} {reason}" for reason, count in texts.left_out.items()]
    return [
        f"{texts.counted} of {texts.source}.",
        f"Left out: {'; '.join(left)}." if left else "",
        *texts.notes,
    ]


def _about_models(texts: Texts, surveys: Sequence[Survey]) -> list[str]:
    sentences = []
    for side, survey in zip(SIDES, surveys, strict=False):
        name, unusable, cut = side.upper(), int((~survey.usable).sum()), int((survey.cut > 0).sum())
        if survey.scores is None:
            sentences.append(f"{name} has no trained head that decides, so it is neither right nor wrong.")
        if unusable:
            first = next(iter(survey.reasons.values()), "")
            sentences.append(f"{name} could not read {unusable:,} texts; the first: {first}")
        if cut:
            sentences.append(f"For {name}, {cut:,} texts were cut.")
        if survey.unmatched:
            unlabelled = sum(survey.unmatched.values())
            named = ", ".join(repr(label[:40]) for label in list(survey.unmatched)[:5])
            sentences.append(f"{name} has no class of the name {named}: {unlabelled:,} texts count as unlabelled.")
        if survey.settings.pruned:
            sentences.append(f"In {name}, {len(survey.settings.pruned)} heads are switched off.")
    return sentences


# ---- rows


def fields(texts: Texts) -> list[str]:
    """What a row of the table has of its text."""
    return [*OWN_FIELDS, *meta_names(texts)]


def cells_of(text: Text, names: Sequence[str]) -> list[Any]:
    """The cells of a text under `fields`, as values."""
    return [text.text_a, text.text_b, text.label, *(text.meta.get(name) for name in names[len(OWN_FIELDS) :])]


def rows_answer(asked: RowsOf, texts: Texts) -> Rows:
    """The texts of some rows; long ones are cut, which the table tells by its dots."""
    names = fields(texts)
    cells = [[_shown(cell) for cell in cells_of(texts[row], names)] for row in asked["rows"]]
    return {**asked, "cells": cells}


def _shown(cell: Any) -> str:
    text = "" if cell is None else ("yes" if cell else "no") if isinstance(cell, bool) else str(cell)
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"


def found_answer(asked: Search, texts: Texts) -> Found:
    """Which texts hold all of some words, in either sentence, in capital or small letters."""
    words = asked["text"].casefold().split()
    wholes = (f"{text.text_a}\n{text.text_b or ''}".casefold() for text in texts)
    held = np.fromiter((all(word in whole for word in words) for whole in wholes), np.uint8, len(texts))
    return {**asked, "rows": packed(held)}


def layout_answer(asked: LayoutOf, laid: Laid) -> Layout:
    """Where the points of a plot lie."""
    return {
        **asked,
        "points": packed(laid.points.astype("<f4")),
        "preserved": packed(laid.preserved.astype("<f4")),
        "trustworthiness": _known(laid.trustworthiness),
        "continuity": _known(laid.continuity),
        "neighbours": laid.neighbours,
        "note": laid.note,
    }


def _known(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None
