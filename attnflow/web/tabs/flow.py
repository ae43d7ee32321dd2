"""The tab *Flow*: the radial view, and what the settings make of it and of the sentence view."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
from gradio.components import Component

from attnflow.errors import SelectionError, UnsupportedArchitectureError
from attnflow.records.head_names import head_of
from attnflow.records.root import pooled_name
from attnflow.records.shares import percent
from attnflow.records.trace import Trace
from attnflow.records.words import check_unit
from attnflow.service.analyses.edges import edges_of_case
from attnflow.service.analyses.heads import IMPORTANCE, IMPORTANCE_TITLES
from attnflow.service.analyses.saliency import REPORT
from attnflow.service.case import Case
from attnflow.service.workspace import workspace
from attnflow.stats.attention_graph import Threshold, check_tau
from attnflow.stats.flow import Flow, FlowPair, compare_flows
from attnflow.views import thresholds
from attnflow.views.answer import answer
from attnflow.views.edge_kinds import QUANTITY, edges_told
from attnflow.views.measured import importance_table, saliency_table
from attnflow.views.payloads import Answer, DifferenceTable, Download, Export, Radial
from attnflow.views.radial import radial
from attnflow.views.sentence import sentence
from attnflow.views.standalone import Theme, standalone
from attnflow.views.threshold_choice import threshold_choice
from attnflow.views.tour import tour
from attnflow.web import arguments, export
from attnflow.web.endpoints.answers import predicted
from attnflow.web.endpoints.graphs import comparison_note
from attnflow.web.panels import RadialView
from attnflow.web.settings import DECISION, READ_BY_TASK, Settings
from attnflow.web.shared import Page, Shown, cases_of
from attnflow.web.wiring import CLICK, on, on_card

TITLE = "Flow"
MORE_TO_READ = (
    "The centre is the token that the decision is read from, or the mean of all those in the ring around it. The first "
    "sentence runs clockwise from the top, the second one the other way, and a black tick marks where they meet; of an "
    "encoder-decoder, what the encoder reads runs clockwise and what the decoder reads the other way (rings E1, D1 and "
    "so on: layers of encoder and decoder). The squares at a word are its heads; the spikes under it show from where "
    "it is attended to, left or right of itself, and by how many heads (up to three)."
)


@dataclass(frozen=True)
class Parts:
    """Components of the tab."""

    status: gr.Markdown
    rings: RadialView

    @property
    def filled(self) -> list[Component]:
        """What `draw` fills of the tab, in its order."""
        return [self.status, self.rings]


def build() -> Parts:
    """Lay out the tab."""
    rings = RadialView(elem_id="flow", download=None, selected=None)
    status = gr.Markdown(elem_id="status")
    gr.Markdown(MORE_TO_READ)
    return Parts(status, rings)


def wire(parts: Parts, page: Page) -> None:
    """Redraw when a setting changes, save what is asked for."""
    sources, outputs, control = [page.shown, page.settings], page.drawn, page.settings
    rest = [control[name].input for name in control.names if name not in ("tau", "unit", "weights", "root")]
    page.at.on(control["root"].input, lambda shown, settings: settings.root, [control])
    page.at.on(control["unit"].input, lambda shown: DECISION)  # words and pieces are counted otherwise
    for happens, function, fills in (
        (control["tau"].input, rethreshold, [*outputs, control["auto"]]),
        (rest, redraw, outputs),
    ):
        on(happens, function, sources, fills, **CLICK).success(**page.remembered)
    on_card([control["weights"].input], redraw, sources, outputs, parts.rings).success(**page.remembered)
    chosen = on(page.thresholds.choose, choose_threshold, sources, [*outputs, control["tau"], control["auto"]], **CLICK)
    chosen.success(**page.remembered)
    on(parts.rings.export, export_graphs, sources, parts.rings, **CLICK)


def flows_at(a: Case, b: Case, settings: Settings, taus: tuple[Threshold, Threshold] | None = None) -> FlowPair:
    """Flows at the settings, or at given thresholds of A and of B; of attention, if a model has no such edges."""
    where: dict[str, Any] = {
        "unit": settings.unit,
        "root": None if settings.root == DECISION else settings.root,
        "heads": [head_of(key) for key in settings.heads] or None,
        "hide_special": settings.hide_special,
    }
    tau = taus or (None if settings.auto else settings.tau)
    trace_a, trace_b, _ = _edges(a, b, settings)
    return compare_flows(trace_a, trace_b, tau, settings.alpha, **where)


def _edges(a: Case, b: Case, settings: Settings) -> tuple[Trace, Trace, str]:
    """Both runs with the edges that are asked for or, if a model has none of these, with attention, and the reason."""
    try:
        return edges_of_case(a, settings.weights), edges_of_case(b, settings.weights), ""
    except (SelectionError, UnsupportedArchitectureError) as error:
        return a.trace, b.trace, str(error)


def draw(a: Case, b: Case, settings: Settings) -> tuple[Any, ...]:
    """What the settings change: values of `page.drawn`."""
    flows = flows_at(a, b, settings)
    names = a.card.ref, b.card.ref
    note = f"{thresholds.told(flows.a.graph, flows.b.graph)}. {comparison_note(flows.pairing.unit)}"
    note += _pooling_note("A", flows.a) + _pooling_note("B", flows.b)
    *_, refused = _edges(a, b, settings)
    note += f"\n\n{edges_told(flows.a.trace.weights)}" + (f" {refused}" if refused else "")
    if settings.hide_special:
        taken = QUANTITY[flows.a.trace.weights]
        shares = f"{percent(flows.a.hidden_share or 0)} (A) and {percent(flows.b.hidden_share or 0)} (B)"
        note += f" Special tokens are hidden; they take {shares} of the {taken} of the tokens shown."
    starts = [READ_BY_TASK]
    starts += [(f"{index + 1}: {text}", index) for index, text in enumerate(flows.pairing.text)]
    root = gr.update(choices=starts, value=settings.root)
    texts = a.encoding.text_a, a.encoding.text_b or ""
    mask = a.card.mask_token if a.card.mask_token == b.card.mask_token else ""
    words = sentence(flows, names, texts, mask)
    choice = threshold_choice(flows, None if settings.auto else settings.tau)
    said, differences = _answered(a, b, flows)
    return said, differences, words, note, _rings(a, b, flows), root, choice


def _answered(a: Case, b: Case, flows: FlowPair) -> tuple[Answer, list[DifferenceTable]]:
    """The answer, and what differs also by what was measured of both models already."""
    reports = [workspace.known(REPORT, case) for case in (a, b)]
    tables: list[DifferenceTable | None] = []
    if reports[0] is not None and reports[1] is not None:
        tables.append(saliency_table(flows, (reports[0], reports[1])))
    for method, title in IMPORTANCE_TITLES.items():
        one, other = (workspace.known(IMPORTANCE, case, method=method) for case in (a, b))
        if one is not None and other is not None:
            by = title[0].lower() + title[1:]
            tables.append(importance_table(flows, (one.values, other.values), by, same=one.quantity == other.quantity))
            break
    return answer(
        flows,
        [predicted(case, check_unit(flows.pairing.unit)).decided for case in (a, b)],
        [table for table in tables if table is not None],
    )


def compare(shown: Shown | None, settings: Settings) -> list[DifferenceTable]:
    """The tables of what differs, after something more was measured."""
    a, b = cases_of(shown)
    return _answered(a, b, flows_at(a, b, settings))[1]


def _rings(a: Case, b: Case, flows: FlowPair) -> Radial:
    """The radial view with its tour."""
    return {**radial(flows, (a.card.ref, b.card.ref)), "tour": tour(flows)}


def _pooling_note(name: str, one: Flow) -> str:
    """Says that a graph starts from several tokens, if it does."""
    pooled = pooled_name(one.graph.root, one.trace.tokens.unit, one.trace.pooling)
    return f" The score of {name} reads the {pooled}: all of them form the first ring." if pooled else ""


def redraw(shown: Shown | None, settings: Settings) -> Any:
    """The flow with other settings: no model runs."""
    return draw(*cases_of(shown), settings)


def rethreshold(shown: Shown | None, settings: Settings) -> Any:
    """A threshold chosen by hand, which ends the automatic choice."""
    return *draw(*cases_of(shown), replace(settings, auto=False)), False


def choose_threshold(shown: Shown | None, settings: Settings, event: gr.EventData) -> Any:
    """A threshold chosen where the rings are counted, which becomes that of the slider.

    Raises:
        SelectionError: If it is none.
    """
    tau = float(check_tau(arguments.checked("tau", getattr(event, "tau", None), float), 1)[0])
    return *draw(*cases_of(shown), replace(settings, tau=tau, auto=False)), tau, False


def export_graphs(shown: Shown | None, settings: Settings, event: gr.EventData) -> Any:
    """What is shown as a file for the visitor's browser: the view as a page, or the graphs with exact numbers."""
    a, b = cases_of(shown)
    flows = flows_at(a, b, settings)
    kind = getattr(event, "kind", None)
    if kind == "html":
        text = _page(a, b, flows, event)
    elif kind == "csv":
        text = export.graph_csv(a, b, flows)
    else:
        kind, text = "json", export.graph_json(a, b, flows, settings.alpha)
    download: Download = {"name": f"attention-flow.{kind}", "text": text, "at": time.time()}
    return gr.update(download=download)


def _page(a: Case, b: Case, flows: FlowPair, event: gr.EventData) -> str:
    """The view as a page of its own, with what is held there."""
    given = {name: getattr(event, name, None) for name in Export.__annotations__ if name not in ("kind", "dark")}
    state = {name: arguments.checked(name, text, str) for name, text in given.items() if text is not None}
    theme: Theme = "dark" if getattr(event, "dark", None) is True else "light"
    texts = filter(None, (a.encoding.text_a, a.encoding.text_b))
    return standalone(_rings(a, b, flows), texts, state=state, theme=theme)
