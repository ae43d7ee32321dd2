"""The matrix of the tab *Heads*: what each head matters, looks at, or does beside the selected one, in both models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnflow import progress
from attnflow.records.trace import Head
from attnflow.records.words import entry_text, quoted
from attnflow.service.analyses.heads import CURVE, IMPORTANCE, INTERACTIONS, ImportanceView, InteractionView
from attnflow.service.analyses.statistics import HEAD_TABLES, HeadTable
from attnflow.service.case import Case
from attnflow.stats.mean_attention import Scale, normalise_importance, places
from attnflow.views.heads import MatrixSide, head_matrix
from attnflow.views.payloads import SIDES, Matrix
from attnflow.web.forms import choice
from attnflow.web.settings import SelectedHead
from attnflow.web.shared import Shown, cases_of, heads_of
from attnflow.web.working import parts, shower

SHOW = [
    ("Importance", "importance"),
    ("Attention pattern", "pattern"),
    *((table.title, table.name) for table in HEAD_TABLES.values()),
    ("Works with the selected head", "interaction"),
]
READING = {
    "ablation": "How much the loss of the predicted class rises when the head is removed, measured; below 0 it falls.",
    "gate": "How steeply the loss of the predicted class changes as the head's output is turned down (Michel et al.).",
    "taylor": "Sum over the head's weights of (gradient x weight)², for the loss of the predicted class (T3-Vis).",
}
SCALE_NOTE = {
    "all": "Shown from 0, the head that matters least, to 1, the one that matters most.",
    "layer": "Divided by the norm of each layer, then shown from 0 to 1.",
}


@dataclass(frozen=True)
class Measured:
    """What the matrix shows of each head."""

    show: str = choice("importance", SHOW, link="show", label="Show", elem_id="heads-show")
    method: str = choice(
        "ablation",
        IMPORTANCE.parameter("method").choices,
        link="importance",
        label="Importance by",
        elem_id="heads-method",
    )
    scale: Scale = choice("all", CURVE.parameter("scale").choices, link="scale", label="Compare", elem_id="heads-scale")


def draw_matrix(shown: Shown | None, measured: Measured, selected: SelectedHead) -> Any:
    """The matrix of both models and, where their sizes agree, their difference."""
    cases = cases_of(shown)
    own = heads_of(*cases, selected)
    if measured.show == "pattern":
        return _patterns(cases, own)
    if measured.show == "interaction":
        return _interactions(cases, own)
    if measured.show in HEAD_TABLES:
        return _table(HEAD_TABLES[measured.show], cases, own)
    return _importance(cases, own, measured)


def _importance(cases: tuple[Case, Case], own: tuple[Head | None, Head | None], measured: Measured) -> Matrix:
    """Row by row while it is measured."""
    show = shower()
    views: list[ImportanceView | None] = [None, None]
    for number, (case, part) in enumerate(zip(cases, parts(cases, IMPORTANCE, method=measured.method), strict=True)):

        def so_far(view: ImportanceView, number: int = number) -> None:
            known = [*views[:number], view, *views[number + 1 :]]
            show(lambda: _importance_matrix(cases, own, measured, known))

        with part, progress.taking(ImportanceView, so_far):
            views[number] = case.ask(IMPORTANCE, method=measured.method)
    return _importance_matrix(cases, own, measured, views)


def _importance_matrix(
    cases: tuple[Case, Case],
    own: tuple[Head | None, Head | None],
    measured: Measured,
    views: Sequence[ImportanceView | None],
) -> Matrix:
    """What is known of both models: None for nothing, NaN for heads that are still to come."""
    raw = [
        np.full((case.card.n_layers, case.card.n_heads), np.nan) if view is None else view.values
        for case, view in zip(cases, views, strict=True)
    ]
    values = [_normalised(one, measured.scale) for one in raw]
    sides = []
    for side, case, at, view, value, measure in zip(SIDES, cases, own, views, values, raw, strict=True):
        of = "" if view is None or not view.target else f"Loss of {quoted(entry_text(view.target))}. "
        note = "" if view is None else view.note
        sides.append(
            MatrixSide(side, case.card.ref, case.trace.pruned, at, of + note, value, measure, stacks=case.card.stacks)
        )
    known = [view for view in views if view is not None]
    if values[0].shape == values[1].shape and len(known) == 2:
        sides.append(_difference(cases, own[1], values, same=known[0].quantity == known[1].quantity))
    note = f"{READING[measured.method]} {SCALE_NOTE[measured.scale]}"
    return head_matrix(sides, title="Importance of each head, this pair", note=note, measured="importance")


def _normalised(importance: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    """On the scale that is shown; NaN stays where something is still to come."""
    open_ = np.isnan(importance)
    if open_.all():
        return importance
    filled = np.where(open_, np.nanmin(importance), importance)
    return np.where(open_, np.nan, normalise_importance(filled, scale))


def _difference(
    cases: tuple[Case, Case], selected: Head | None, values: list[NDArray[np.float64]], *, same: bool
) -> MatrixSide:
    """What is more in B than in A: importance itself where both have one measure, else the place in its order."""
    pruned = cases[0].trace.pruned & cases[1].trace.pruned
    stacks = cases[0].card.stacks if cases[0].card.stacks == cases[1].card.stacks else None
    colours = "Purple: it matters more in B; turquoise: more in A."
    if same:
        change = values[1] - values[0]
        return MatrixSide("difference", "B less A", pruned, selected, colours, change, change, stacks=stacks)
    open_ = np.isnan(values).any(axis=0)
    a, b = (np.where(open_, np.nan, places(np.nan_to_num(value))) for value in values)
    note = (
        f"The two are measured differently, so what is compared is the place of a head in each model's order. {colours}"
    )
    measured = "place in the order, from 0, the least important, to 1; B less A:"
    return MatrixSide(
        "difference", "B less A, by order", pruned, selected, note, b - a, b - a, measured=measured, stacks=stacks
    )


def _patterns(cases: tuple[Case, Case], own: tuple[Head | None, Head | None]) -> Matrix:
    sides = []
    for side, case, at in zip(SIDES, cases, own, strict=True):
        attention = case.trace.paid
        highest = attention.max(axis=(2, 3))
        pruned, stacks = case.trace.pruned, case.card.stacks
        sides.append(MatrixSide(side, case.card.ref, pruned, at, "", highest, highest, attention, stacks=stacks))
    note = (
        "Each picture is a head: rows attend, columns are attended to, from the first token to the last. One scale for "
        "all heads of both models: a pixel is empty up to a uniform share of attention, and full where all of it goes "
        "to one token."
    )
    return head_matrix(sides, title="Attention of each head", note=note, measured="strongest attention")


def _table(table: HeadTable, cases: tuple[Case, Case], own: tuple[Head | None, Head | None]) -> Matrix:
    """A number of each head, from the smallest of both models to the largest, so that they compare."""
    found: list[NDArray[np.float64]] = []
    for case, part in zip(cases, parts(cases, table.of_text), strict=True):
        with part:
            found.append(table.table(case.ask(table.of_text)))
    low = min(float(values.min()) for values in found)
    span = max(float(values.max()) for values in found) - low
    sides = [
        MatrixSide(side, case.card.ref, case.pruned, at, "", (values - low) / span if span else values - low, values)
        for side, case, at, values in zip(SIDES, cases, own, found, strict=True)
    ]
    note = f"{table.says} The darkest cell is the largest value of both models."
    return head_matrix(sides, title=f"{table.title} of each head, this pair", note=note, measured=table.title.lower())


def _interactions(cases: tuple[Case, Case], own: tuple[Head | None, Head | None]) -> Matrix:
    """Row by row, from the row of the selected head on."""
    show, views = shower(), dict[int, InteractionView]()
    for number, (case, at, part) in enumerate(zip(cases, own, parts(cases, INTERACTIONS), strict=True)):
        if at is None:
            continue

        def so_far(view: InteractionView, number: int = number) -> None:
            known = {**views, number: view}
            show(lambda: _interaction_matrix(cases, own, known))

        with part, progress.taking(InteractionView, so_far):
            views[number] = case.ask(INTERACTIONS, layer=at[0], head=at[1])
    return _interaction_matrix(cases, own, views)


def _interaction_matrix(
    cases: tuple[Case, Case], own: tuple[Head | None, Head | None], views: Mapping[int, InteractionView]
) -> Matrix:
    """Of the models that have the head and are measured, as far as they are."""
    sides = []
    for number, view in views.items():
        case, found = cases[number], view.found.interaction
        most = np.abs(np.nan_to_num(found)).max()
        pruned, shown = case.trace.pruned, found / most if most else found
        sides.append(
            MatrixSide(
                SIDES[number], case.card.ref, pruned, own[number], view.note, shown, found, stacks=case.card.stacks
            )
        )
    note = (
        "The change of the loss when a head and the selected one are both removed, less the changes when each is "
        "removed alone. Blue: together they hurt more, so they back each other up. Grey: together they hurt less."
    )
    return head_matrix(
        sides, title="Who backs up the selected head, this pair", note=note, measured="interaction", signed=True
    )
