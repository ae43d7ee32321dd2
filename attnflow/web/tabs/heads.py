"""The tab *Heads*: what each head matters, and what both models do without some of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from attnflow.errors import SelectionError
from attnflow.records.trace import Head
from attnflow.service.analyses.heads import (
    CURVE,
    IMPORTANCE,
    IMPORTANCE_TITLES,
    INTERACTIONS,
    least_important,
    root_shift,
)
from attnflow.service.analyses.statistics import HEAD_TABLES, HeadTable
from attnflow.service.case import Case
from attnflow.service.workspace import workspace
from attnflow.stats.mean_attention import Scale, normalise_importance, places
from attnflow.views.heads import MatrixSide, head_matrix
from attnflow.views.payloads import SIDES, Effect, Matrix, Pruned
from attnflow.views.pruning import curve_chart, effect
from attnflow.web.endpoints.checks import whole_number
from attnflow.web.forms import Form, choice, setting
from attnflow.web.panels import AttentionMap, Chart, HeadMatrix, PruneEffect
from attnflow.web.settings import SelectedHead, Settings
from attnflow.web.shared import NO_HEADS, Page, Shown, cases_of, heads_of
from attnflow.web.tabs import maps
from attnflow.web.tabs.flow import flows_at
from attnflow.web.wiring import CLICK, MODEL, on

TITLE = "Heads"
SHOW = [
    ("Importance", "importance"),
    ("Attention pattern", "pattern"),
    *((table.title, table.name) for table in HEAD_TABLES.values()),
    ("Works with the selected head", "interaction"),
]
MEASURES = {"probability": "probability of the prediction", "value": "score", "root-shift": "shift of the embedding"}
_MOST_UNDONE = 50
_NOTHING_TO_UNDO = "There is nothing to undo: no head was switched off or on since this pair was analysed."
INTRO = (
    "Each cell is a head. Click one to select it on the whole page; press its × (or Delete) to switch it off in that "
    "model and see at once what changes. Heads stay off in every tab until you switch them on again."
)
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


@dataclass(frozen=True)
class Fewer:
    """How many more heads are to be off, and in which model."""

    count: int = setting(
        4, lambda count: gr.Number(count, label="How many", minimum=1, precision=0, min_width=80, elem_id="prune-count")
    )
    models: Literal["a", "b", "ab"] = choice(
        "b", [("A", "a"), ("B", "b"), ("A and B", "ab")], label="In model", min_width=160, elem_id="prune-side"
    )


@dataclass(frozen=True)
class Parts:
    """Components of the tab."""

    measured: Form[Measured]
    matrix: HeadMatrix
    effect: PruneEffect
    maps: list[AttentionMap]
    curves: list[Chart]
    order: gr.Dropdown
    draw: gr.Button
    fewer: Form[Fewer]
    least: gr.Button
    undo: gr.Button
    reset: gr.Button
    history: gr.State
    """What was off before, the last at the end: (pair, pruned of A, pruned of B)."""
    drawn_for: gr.State
    """The pair that the curves are of."""


def build() -> Parts:
    """Lay out the tab."""
    gr.Markdown(INTRO)
    with gr.Row():
        measured = Form(Measured())
        measured.place()
    matrix = HeadMatrix(elem_id="head-matrix", confirmed=None)
    with gr.Row(elem_id="prune-controls"):
        fewer = Form(Fewer())
        fewer.place()
        least = gr.Button("Switch off the least important", size="sm", elem_id="prune-least")
        undo = gr.Button("Undo", size="sm", min_width=80, elem_id="prune-undo")
        reset = gr.Button("Switch all on", size="sm", min_width=80, elem_id="prune-reset")
    changed = PruneEffect(elem_id="prune-effect")
    both = maps.build()
    gr.Markdown(
        "**Pruning curve**: how the prediction holds as more and more heads are removed, the least important first, "
        "beside random order (dotted; the band is one standard deviation)."
    )
    with gr.Row():
        order = gr.Dropdown(
            CURVE.parameter("order").choices, value="ablation", label="Order by", elem_id="curve-order", min_width=160
        )
        draw = gr.Button("Draw the curve", size="sm", elem_id="draw-curve")
    with gr.Row():
        curves = [Chart(elem_id=f"curve-{name}", min_width=320) for name in "ab"]
    return Parts(
        measured, matrix, changed, both, curves, order, draw, fewer, least, undo, reset,
        history=gr.State([]), drawn_for=gr.State(None),
    )  # fmt: skip


def wire(parts: Parts, page: Page) -> None:
    """Fill the tab, and switch heads off or on."""
    page.when_open(TITLE, confirm, [], [parts.matrix])
    page.when_open(TITLE, draw_effects, [page.settings], [parts.effect])
    page.when_open(TITLE, maps.draw, [page.selected], parts.maps)
    running = {**MODEL, "show_progress": "minimal"}
    page.when_open(TITLE, draw_matrix, [parts.measured, page.selected], [parts.matrix], **running)
    page.prune.on(parts.least.click, find_least, [parts.measured, parts.fewer])
    undone = on(parts.undo.click, step_back, [parts.history], parts.history, **CLICK)
    page.prune.on(undone.success, find_undone, [parts.history])
    page.prune.on(parts.reset.click, lambda shown: NO_HEADS)
    on(page.shown.change, remember, [page.shown, parts.history], parts.history, **CLICK)
    drawn = [*parts.curves, parts.drawn_for]
    on(page.shown.change, clear_outdated, [page.shown, parts.drawn_for], drawn, **CLICK)
    on(parts.draw.click, draw_curves, [page.shown, parts.order, parts.measured], drawn, **MODEL)


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
    views = [case.ask(IMPORTANCE, method=measured.method) for case in cases]
    values = [normalise_importance(view.values, measured.scale) for view in views]
    sides = []
    for side, case, at, view, value in zip(SIDES, cases, own, views, values, strict=True):
        of = f"Loss of “{view.target}”. " if view.target else ""
        sides.append(MatrixSide(side, case.card.ref, case.trace.pruned, at, of + view.note, value, view.values))
    if values[0].shape == values[1].shape:
        sides.append(_difference(cases, own[1], values, same=views[0].quantity == views[1].quantity))
    note = f"{READING[measured.method]} {SCALE_NOTE[measured.scale]}"
    return head_matrix(sides, title="Importance of each head, this pair", note=note, measured="importance")


def _difference(
    cases: tuple[Case, Case], selected: Head | None, values: list[NDArray[np.float64]], *, same: bool
) -> MatrixSide:
    """What is more in B than in A: importance itself where both have one measure, else the place in its order."""
    pruned = cases[0].trace.pruned & cases[1].trace.pruned
    colours = "Purple: it matters more in B; turquoise: more in A."
    if same:
        change = values[1] - values[0]
        return MatrixSide("difference", "B less A", pruned, selected, colours, change, change)
    a, b = (places(value) for value in values)
    note = (
        f"The two are measured differently, so what is compared is the place of a head in each model's order. {colours}"
    )
    measured = "place in the order, from 0, the least important, to 1; B less A:"
    return MatrixSide("difference", "B less A, by order", pruned, selected, note, b - a, b - a, measured=measured)


def _patterns(cases: tuple[Case, Case], own: tuple[Head | None, Head | None]) -> Matrix:
    sides = []
    for side, case, at in zip(SIDES, cases, own, strict=True):
        attention = case.trace.attention
        highest = attention.max(axis=(2, 3))
        sides.append(MatrixSide(side, case.card.ref, case.trace.pruned, at, "", highest, highest, attention))
    note = (
        "Each picture is a head: rows attend, columns are attended to, from the first token to the last. One scale for "
        "all heads of both models: a pixel is empty up to a uniform share of attention, and full where all of it goes "
        "to one token."
    )
    return head_matrix(sides, title="Attention of each head", note=note, measured="strongest attention")


def _table(table: HeadTable, cases: tuple[Case, Case], own: tuple[Head | None, Head | None]) -> Matrix:
    """A number of each head, from the smallest of both models to the largest, so that they compare."""
    found = [table.table(case.ask(table.of_text)) for case in cases]
    low = min(float(values.min()) for values in found)
    span = max(float(values.max()) for values in found) - low
    sides = [
        MatrixSide(side, case.card.ref, case.pruned, at, "", (values - low) / span if span else values - low, values)
        for side, case, at, values in zip(SIDES, cases, own, found, strict=True)
    ]
    note = f"{table.says} The darkest cell is the largest value of both models."
    return head_matrix(sides, title=f"{table.title} of each head, this pair", note=note, measured=table.title.lower())


def _interactions(cases: tuple[Case, Case], own: tuple[Head | None, Head | None]) -> Matrix:
    sides = []
    for side, case, at in zip(SIDES, cases, own, strict=True):
        if at is None:
            continue
        view = case.ask(INTERACTIONS, layer=at[0], head=at[1])
        found = view.found.interaction
        most = np.abs(found).max()
        sides.append(
            MatrixSide(side, case.card.ref, case.trace.pruned, at, view.note, found / most if most else found, found)
        )
    note = (
        "The change of the loss when a head and the selected one are both removed, less the changes when each is "
        "removed alone. Blue: together they hurt more, so they back each other up. Grey: together they hurt less."
    )
    return head_matrix(
        sides, title="Who backs up the selected head, this pair", note=note, measured="interaction", signed=True
    )


def confirm(shown: Shown) -> Any:
    """What is off, for the matrix."""
    off: Pruned = {"a": sorted(shown.a.pruned), "b": sorted(shown.b.pruned)}
    return gr.update(confirmed=json.dumps(off))


def draw_effects(shown: Shown | None, settings: Settings) -> list[Effect]:
    """What the pruned heads changed, of the flow as it is drawn: at the thresholds that it had before."""
    cases = cases_of(shown)
    wholes = workspace.without(cases[0], []), workspace.without(cases[1], [])
    old = flows_at(*wholes, settings)
    new = flows_at(*cases, settings, (old.a.graph.tau, old.b.graph.tau))
    found = []
    for side, whole, case, was, now in zip(SIDES, wholes, cases, (old.a, old.b), (new.a, new.b), strict=True):
        before, after, unit = whole.trace.probabilities, case.trace.probabilities, "probability"
        if before is None:
            before, after, unit = whole.trace.scores, case.trace.scores, "score"
        if before is None or after is None:
            classes, note = [], "No classification head, so there is no prediction that could change."
        else:
            classes, note = list(zip(case.trace.labels, before.tolist(), after.tolist(), strict=True)), ""
        found.append(
            effect(
                side,
                case.card.ref,
                was.trace.tokens,
                classes=classes,
                unit=unit,
                influence=(was.influence[0], now.influence[0]),
                removed=len(case.trace.pruned),
                shift=root_shift(whole, case),
                note=note,
            )
        )
    return found


def draw_curves(shown: Shown | None, order: str, measured: Measured) -> Any:
    """The pruning curves of both models."""
    charts, titles = [], CURVE.parameter("order").titles
    for side, case in zip(SIDES, cases_of(shown), strict=True):
        size = case.card.n_layers * case.card.n_heads
        whole = workspace.without(case, [])
        view = whole.ask(CURVE, order=order, scale=measured.scale)
        charts.append(
            curve_chart(
                view.chosen.fraction,
                view.chosen.score[0],
                view.random.score,
                side=side,
                n_heads=size,
                note=view.note,
                title=f"{case.card.ref} with fewer and fewer heads",
                order=titles[order] + ", by layer" * (measured.scale == "layer" and order in IMPORTANCE_TITLES),
                measure=MEASURES[view.chosen.measure],
            )
        )
    return (*charts, shown and shown.pair)


def clear_outdated(shown: Shown | None, drawn_for: Any) -> Any:
    """Take the curves away when another pair is analysed: they are those of the whole models."""
    return (gr.skip(), gr.skip(), gr.skip()) if drawn_for in (None, shown and shown.pair) else (None, None, None)


def find_least(shown: Shown | None, measured: Measured, fewer: Fewer) -> Pruned:
    """So many more heads off, of those that matter least on the scale that is shown."""
    pruned: Pruned = {"a": [], "b": []}
    for side, case in zip(SIDES, cases_of(shown), strict=True):
        heads = case.trace.pruned
        if side in fewer.models:
            view = case.ask(IMPORTANCE, method=measured.method)
            values = normalise_importance(view.values, measured.scale)
            heads = least_important(values, case, whole_number("the number of heads", fewer.count))
        pruned[side] = sorted(heads)
    return pruned


def step_back(history: list[Any]) -> list[Any]:
    """Forget the last change."""
    if len(history) < 2:
        raise SelectionError(_NOTHING_TO_UNDO)
    return history[:-1]


def find_undone(shown: Shown | None, history: list[Any]) -> Pruned:
    """What was off before the change that is forgotten."""
    if not history:
        raise SelectionError(_NOTHING_TO_UNDO)
    _, a, b = history[-1]
    return {"a": sorted(a), "b": sorted(b)}


def remember(shown: Shown | None, history: list[Any]) -> list[Any]:
    """Keep what is off, so that the next change can be taken back; another pair begins anew."""
    if shown is None:
        return []
    now = (shown.pair, shown.a.pruned, shown.b.pruned)
    if not history or history[-1][0] != now[0]:
        return [now]
    return history if history[-1] == now else [*history, now][-_MOST_UNDONE:]
