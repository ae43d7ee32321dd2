"""The tab *Heads*: what each head matters, and what both models do without some of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import gradio as gr

from attnflow.errors import SelectionError
from attnflow.records.words import Unit
from attnflow.service.analyses.heads import CURVE, IMPORTANCE, IMPORTANCE_TITLES, least_important, root_shift
from attnflow.service.case import Case
from attnflow.service.workspace import workspace
from attnflow.stats.mean_attention import normalise_importance
from attnflow.views.payloads import SIDES, Effect, Pruned
from attnflow.views.pruning import curve_chart, effect
from attnflow.web.endpoints.answers import before_and_after, predicted
from attnflow.web.endpoints.checks import whole_number
from attnflow.web.forms import Form, choice, setting
from attnflow.web.panels import AttentionMap, Chart, HeadMatrix, PruneEffect
from attnflow.web.settings import SelectedHead, Settings
from attnflow.web.shared import NO_HEADS, Page, Shown, cases_of
from attnflow.web.tabs import maps
from attnflow.web.tabs.flow import flows_at
from attnflow.web.tabs.matrix import Measured, draw_matrix
from attnflow.web.wiring import CLICK, on, on_card
from attnflow.web.working import parts, shower

TITLE = "Heads"
MEASURES = {"probability": "probability of the prediction", "value": "score", "root-shift": "shift of the embedding"}
_MOST_UNDONE = 50
_NOTHING_TO_UNDO = "There is nothing to undo: no head was switched off or on since this pair was analysed."
INTRO = (
    "Each cell is a head. Click one to select it on the whole page; press its × (or Delete) to switch it off in that "
    "model and see at once what changes. Heads stay off in every tab until you switch them on again."
)


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
    """What the curves are of: pair, and tokens that are meant."""


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
    page.when_open(TITLE, draw_effects, [page.settings], [parts.effect])
    page.when_open(TITLE, maps.draw, [page.selected], parts.maps)
    filled = page.when_open(TITLE, fill_matrix, [parts.measured, page.selected], [parts.matrix])
    page.compare.on(filled.success, lambda shown: shown)
    page.prune.on(parts.least.click, find_least, [parts.measured, parts.fewer])
    undone = on(parts.undo.click, step_back, [parts.history], parts.history, **CLICK)
    page.prune.on(undone.success, find_undone, [parts.history])
    page.prune.on(parts.reset.click, lambda shown: NO_HEADS)
    on(page.shown.change, remember, [page.shown, parts.history], parts.history, **CLICK)
    drawn = [*parts.curves, parts.drawn_for]
    on(page.shown.change, clear_outdated, [page.shown, parts.drawn_for], drawn, **CLICK)
    on_card(parts.draw.click, draw_curves, [page.shown, parts.order, parts.measured], drawn)


def fill_matrix(shown: Shown, measured: Measured, selected: SelectedHead) -> Iterator[Any]:
    """First what is off, which is known sooner than what then matters."""
    yield confirm(shown)
    yield draw_matrix(shown, measured, selected)


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
        classes, unit, note = _changed_classes(whole, case, was.trace.tokens.unit)
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


def _changed_classes(
    whole: Case, case: Case, unit_shown: Unit
) -> tuple[list[tuple[str, float, float]], Literal["probability", "score"], str]:
    """Each class, or each of the likeliest words or answers, before and after; what the numbers are, and a note."""
    before, after = predicted(whole, unit_shown), predicted(case, unit_shown)
    if before.decided is None or after.decided is None:
        return [], "probability", "It predicts nothing of this text, so there is no prediction that could change."
    unit: Literal["probability", "score"] = "score" if before.classes[0]["probability"] is None else "probability"
    both = [(was["label"], was[unit] or 0.0, now[unit] or 0.0) for was, now in before_and_after(whole, case)]
    about = before.about if before.tokens else ""
    if before.decided.names != after.decided.names and before.tokens:
        about += f" It decided for {before.decided.what}, and now for {after.decided.what}."
    return both, unit, about.strip()


def draw_curves(shown: Shown | None, order: str, measured: Measured) -> Any:
    """The pruning curves of both models, one after the other."""
    charts: list[Any] = [gr.skip(), gr.skip()]
    titles, show = CURVE.parameter("order").titles, shower()
    wholes = [workspace.without(case, []) for case in cases_of(shown)]
    steps = parts(wholes, CURVE, order=order, scale=measured.scale)
    for number, (side, whole, part) in enumerate(zip(SIDES, wholes, steps, strict=True)):
        with part:
            view = whole.ask(CURVE, order=order, scale=measured.scale)
        charts[number] = curve_chart(
            view.chosen.fraction,
            view.chosen.score[0],
            view.random.score,
            side=side,
            n_heads=whole.card.n_all_heads,
            note=view.note,
            title=f"{whole.card.ref} with fewer and fewer heads",
            order=titles[order] + ", by layer" * (measured.scale == "layer" and order in IMPORTANCE_TITLES),
            measure=MEASURES[view.chosen.measure],
        )
        show((*charts, gr.skip()))
    return (*charts, shown and shown.asked)


def clear_outdated(shown: Shown | None, drawn_for: Any) -> Any:
    """Take the curves away when another pair is analysed: they are those of the whole models."""
    return (gr.skip(), gr.skip(), gr.skip()) if drawn_for in (None, shown and shown.asked) else (None, None, None)


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
