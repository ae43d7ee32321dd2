"""The tab *Heads*: what each head matters, and what both models do without some of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import gradio as gr
import numpy as np
from gradio.components import Component

from attnflow.errors import SelectionError
from attnflow.records.trace import Head
from attnflow.service.analyses import statistics
from attnflow.service.analyses.heads import CURVE, IMPORTANCE, INTERACTIONS, least_important, root_shift
from attnflow.service.analyses.statistics import HEAD_TABLES, HeadTable
from attnflow.service.case import Case
from attnflow.service.workspace import workspace
from attnflow.stats.flow import flow
from attnflow.stats.mean_attention import normalise_importance
from attnflow.views.heads import MatrixSide, head_matrix
from attnflow.views.payloads import SIDES, Effect, Matrix, Pruned
from attnflow.views.pruning import curve_chart, effect
from attnflow.web.endpoints.checks import checked_head, checked_heads, whole_number
from attnflow.web.panels import AttentionMap, Chart, HeadMatrix, PruneEffect
from attnflow.web.shared import CLICK, MODEL, Page, Shown, cases_of, heads_of, missing_layers, told
from attnflow.web.tabs import maps

T = TypeVar("T")

TITLE = "Heads"
SHOW = {
    "Importance": "importance",
    "Attention pattern": "pattern",
    **{table.title: table.name for table in HEAD_TABLES.values()},
    "Works with the selected head": "interaction",
}
OVER = {"This pair": "pair", "Bundled pairs": "set"}
IMPORTANCES = {"pair": IMPORTANCE, "set": statistics.IMPORTANCE}
METHODS = dict(IMPORTANCE.parameter("method").choices)
SCALES = dict(CURVE.parameter("scale").choices)
ORDERS = dict(CURVE.parameter("order").choices)
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
class Parts:
    """Components of the tab."""

    settings: list[gr.Radio]
    """Show, over, method, scale."""
    matrix: HeadMatrix
    effect: PruneEffect
    maps: list[AttentionMap]
    curves: list[Chart]
    order: gr.Dropdown
    draw: gr.Button
    count: gr.Number
    side: gr.Radio
    least: gr.Button
    undo: gr.Button
    reset: gr.Button
    history: gr.State
    """What was off before, the last at the end: (pair, pruned of A, pruned of B)."""
    drawn_for: gr.State
    """The pair that the curves are of."""


def prunings(parts: Parts) -> list[tuple[Callable[..., Any], Callable[..., Any], list[Component]]]:
    """Events that switch heads off or on, how to find which, and from what: the page does it."""
    back = parts.undo.click(stepped_back, parts.history, parts.history, **CLICK)
    return [
        (parts.matrix.prune, wanted, []),
        (parts.least.click, least, [parts.side, parts.count, *parts.settings[1:]]),
        (back.success, undone, [parts.history]),
        (parts.reset.click, lambda shown: ([], []), []),
    ]


def build() -> Parts:
    """Lay out the tab."""
    gr.Markdown(INTRO)
    with gr.Row():
        settings = [
            gr.Radio(list(SHOW), value="Importance", label="Show", elem_id="heads-show"),
            gr.Radio(list(OVER), value="This pair", label="Over", elem_id="heads-over"),
            gr.Radio(list(METHODS), value="Removal", label="Importance by", elem_id="heads-method"),
            gr.Radio(list(SCALES), value="All heads", label="Compare", elem_id="heads-scale"),
        ]
    matrix = HeadMatrix(elem_id="head-matrix", confirmed=None)
    with gr.Row(elem_id="prune-controls"):
        count = gr.Number(4, label="How many", minimum=1, precision=0, min_width=80, elem_id="prune-count")
        side = gr.Radio(["A", "B", "A and B"], value="B", label="In model", min_width=160, elem_id="prune-side")
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
        order = gr.Dropdown(list(ORDERS), value="Removal", label="Order by", elem_id="curve-order", min_width=160)
        draw = gr.Button("Draw the curve", size="sm", elem_id="draw-curve")
    with gr.Row():
        curves = [Chart(elem_id=f"curve-{name}", min_width=320) for name in "ab"]
    return Parts(
        settings, matrix, changed, both, curves, order, draw, count, side, least, undo, reset,
        history=gr.State([]), drawn_for=gr.State(None),
    )  # fmt: skip


def wire(parts: Parts, page: Page) -> None:
    """Fill the tab; what switches heads off is wired by the page (`prunings`)."""
    page.when_open(TITLE, confirmed, [], [parts.matrix])
    page.when_open(TITLE, effects, [page.settings.tau], [parts.effect])
    page.when_open(TITLE, maps.drawn, [page.layer, page.head], parts.maps)
    inputs = [*parts.settings, page.layer, page.head]
    page.when_open(TITLE, matrix, inputs, [parts.matrix], **{**MODEL, "show_progress": "minimal"})
    parts.matrix.head_select(head_selected, page.shown, [page.layer, page.head], **CLICK)
    page.shown.change(remembered, [page.shown, parts.history], parts.history, **CLICK)
    page.shown.change(outdated, [page.shown, parts.drawn_for], [*parts.curves, parts.drawn_for], **CLICK)
    parts.draw.click(curves, [page.shown, parts.order, parts.settings[3]], [*parts.curves, parts.drawn_for], **MODEL)


def chosen(names: Mapping[str, T], name: str) -> T:
    """The value of a choice of the page.

    Raises:
        SelectionError: If there is no such choice.
    """
    if name not in names:
        raise SelectionError(f"There is no choice {str(name)[:40]!r}; choose {', '.join(names)}.")
    return names[name]


def matrix(shown: Shown | None, show: str, over: str, method: str, scale: str, layer: int, head: int) -> Any:
    """The matrix of both models and, where their sizes agree, their difference."""
    cases = cases_of(shown)
    own = heads_of(*cases, whole_number("layer", layer), whole_number("head", head))
    mode, source = chosen(SHOW, show), chosen(OVER, over)
    by, among = chosen(METHODS, method), chosen(SCALES, scale)
    if mode == "pattern":
        return _patterns(cases, own, source)
    if mode == "interaction":
        return _interactions(cases, own)
    if mode in HEAD_TABLES:
        return _table(HEAD_TABLES[mode], cases, own, source)
    views = [case.ask(IMPORTANCES[source], method=by) for case in cases]
    values = [normalise_importance(view.values, among) for view in views]
    sides = []
    for side, case, at, view, value in zip(SIDES, cases, own, views, values, strict=True):
        of = f"Loss of “{view.target}”. " if view.target else ""
        sides.append(MatrixSide(side, case.card.ref, case.trace.pruned, at, of + view.note, value, view.values))
    if values[0].shape == values[1].shape:
        pruned = cases[0].trace.pruned & cases[1].trace.pruned
        change = values[1] - values[0]
        note = "Purple: it matters more in B; turquoise: more in A."
        if views[0].quantity != views[1].quantity:
            note += " The two are measured differently (see above): compare their order, not their size."
        sides.append(MatrixSide("difference", "B less A", pruned, own[1], note, change, change))
    note = f"{READING[by]} {SCALE_NOTE[among]}"
    if source == "set":
        counts = " and ".join(f"{view.n_examples} ({side})" for side, view in zip("AB", views, strict=True))
        note += f" Averaged over bundled pairs: {counts}."
    return head_matrix(sides, title=f"Importance of each head, {over.lower()}", note=note, measured="importance")


def _patterns(cases: tuple[Case, Case], own: tuple[Head | None, Head | None], source: str) -> Matrix:
    sides, counts = [], []
    for side, case, at in zip(SIDES, cases, own, strict=True):
        view = case.ask(statistics.PATTERNS) if source == "set" else None
        attention = case.trace.attention if view is None else view.values
        counts.append(view.n_examples if view else 1)
        highest = attention.max(axis=(2, 3))
        sides.append(MatrixSide(side, case.card.ref, case.trace.pruned, at, "", highest, highest, attention))
    note = (
        "Each picture is a head: rows attend, columns are attended to, from the first token to the last; the darkest "
        "pixel is its strongest attention."
    )
    if source == "set":
        note += f" Mean over {counts[0]} bundled pairs; each cell by the pairs that have both positions."
    return head_matrix(sides, title="Attention of each head", note=note, measured="strongest attention")


def _table(table: HeadTable, cases: tuple[Case, Case], own: tuple[Head | None, Head | None], source: str) -> Matrix:
    """A number of each head, from the smallest of both models to the largest, so that they compare."""
    found = [table.table(case.ask(table.over_texts if source == "set" else table.of_text)) for case in cases]
    low = min(float(values.min()) for values in found)
    span = max(float(values.max()) for values in found) - low
    sides = [
        MatrixSide(side, case.card.ref, case.pruned, at, "", (values - low) / span if span else values - low, values)
        for side, case, at, values in zip(SIDES, cases, own, found, strict=True)
    ]
    over = f"Mean over {statistics.SET_SIZE} bundled pairs. " if source == "set" else ""
    note = f"{table.says} {over}The darkest cell is the largest value of both models."
    title = f"{table.title} of each head, {'bundled pairs' if source == 'set' else 'this pair'}"
    return head_matrix(sides, title=title, note=note, measured=table.title.lower())


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
        "removed alone. Orange: together they hurt more, so they back each other up. Grey: together they hurt less."
    )
    return head_matrix(
        sides, title="Who backs up the selected head, this pair", note=note, measured="interaction", signed=True
    )


def confirmed(shown: Shown) -> Any:
    """What is off, for the matrix."""
    off: Pruned = {"a": sorted(shown.a.pruned), "b": sorted(shown.b.pruned)}
    return gr.update(confirmed=json.dumps(off))


def effects(shown: Shown | None, tau: float) -> list[Effect]:
    """What the switched-off heads changed."""
    found = []
    for side, case in zip(SIDES, cases_of(shown), strict=True):
        whole = workspace.without(case, [])
        flows = [flow(one.trace, tau).influence[0] for one in (whole, case)]
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
                case.trace.tokens,
                classes=classes,
                unit=unit,
                influence=(flows[0], flows[1]),
                removed=len(case.trace.pruned),
                shift=root_shift(whole, case),
                note=note,
            )
        )
    return found


@told
def curves(shown: Shown | None, order: str, scale: str) -> Any:
    """The pruning curves of both models."""
    charts = []
    for side, case in zip(SIDES, cases_of(shown), strict=True):
        size = case.card.n_layers * case.card.n_heads
        whole = workspace.without(case, [])
        view = whole.ask(CURVE, order=chosen(ORDERS, order), scale=chosen(SCALES, scale))
        charts.append(
            curve_chart(
                view.chosen.fraction,
                view.chosen.score[0],
                view.random.score,
                side=side,
                n_heads=size,
                note=view.note,
                title=f"{case.card.ref} with fewer and fewer heads",
                order=f"{order}, by layer" if scale == "Each layer" and order in METHODS else order,
                measure=MEASURES[view.chosen.measure],
            )
        )
    return (*charts, shown and shown.pair)


def outdated(shown: Shown | None, drawn_for: Any) -> Any:
    """Take the curves away when another pair is analysed: they are those of the whole models."""
    return (gr.skip(), gr.skip(), gr.skip()) if drawn_for in (None, shown and shown.pair) else (None, None, None)


@told
def head_selected(shown: Shown | None, event: gr.EventData) -> Any:
    """A cell was chosen; the page counts layers by the deeper model."""
    cases = cases_of(shown)
    layer, head = checked_head("head", getattr(event, "head", None))
    case = cases[0] if getattr(event, "side", None) == "a" else cases[1]
    layer += missing_layers(case, cases)
    heads_of(*cases, layer, head)  # refuses a head that is not there
    return layer, head


def wanted(shown: Shown | None, event: gr.EventData) -> tuple[list[Head], list[Head]]:
    """The heads that the matrix asks to be off."""
    return checked_heads("a", getattr(event, "a", None)), checked_heads("b", getattr(event, "b", None))


def least(
    shown: Shown | None, side: str, count: float, over: str, method: str, scale: str
) -> tuple[list[Head], list[Head]]:
    """So many more heads off, of those that matter least on the scale that is shown."""
    cases, sides = cases_of(shown), chosen({"A": "a", "B": "b", "A and B": "ab"}, side)
    analysis = IMPORTANCES[chosen(OVER, over)]
    pruned = []
    for name, case in zip(SIDES, cases, strict=True):
        heads = case.trace.pruned
        if name in sides:
            view = case.ask(analysis, method=chosen(METHODS, method))
            values = normalise_importance(view.values, chosen(SCALES, scale))
            heads = least_important(values, case, whole_number("the number of heads", count))
        pruned.append(sorted(heads))
    return pruned[0], pruned[1]


@told
def stepped_back(history: list[Any]) -> list[Any]:
    """Forget the last change."""
    if len(history) < 2:
        raise SelectionError(_NOTHING_TO_UNDO)
    return history[:-1]


def undone(shown: Shown | None, history: list[Any]) -> tuple[list[Head], list[Head]]:
    """What was off before the change that is forgotten."""
    if not history:
        raise SelectionError(_NOTHING_TO_UNDO)
    _, a, b = history[-1]
    return sorted(a), sorted(b)


def remembered(shown: Shown | None, history: list[Any]) -> list[Any]:
    """Keep what is off, so that the next change can be taken back; another pair begins anew."""
    if shown is None:
        return []
    now = (shown.pair, shown.a.pruned, shown.b.pruned)
    if not history or history[-1][0] != now[0]:
        return [now]
    return history if history[-1] == now else [*history, now][-_MOST_UNDONE:]
