"""The tab *Attention flow*: the radial view, and the settings that draw it and the sentence view."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import gradio as gr

from attnflow.records.head_names import head_of
from attnflow.records.root import pooled_name
from attnflow.service.case import Case
from attnflow.stats.flow import LARGEST_RING, Flow, FlowPair, compare_flows, first_tau
from attnflow.views.payloads import Download
from attnflow.views.radial import radial
from attnflow.views.sentence import sentence
from attnflow.views.tour import tour
from attnflow.web import export
from attnflow.web.endpoints.checks import checked_head
from attnflow.web.endpoints.graphs import comparison_note
from attnflow.web.panels import RadialView
from attnflow.web.shared import CLICK, Page, Shown, cases_of, heads_of, told

TITLE = "Attention flow"
UNITS = {"Word pieces": "piece", "Words": "word"}
DECISION = -1
"""Value of the choice of a root: what each model's task reads."""
HOW_TO_READ = (
    "The centre is the token that the decision is read from, or the mean of all those in the ring around it. Each ring "
    "outwards is one layer earlier, out to the words themselves; the first sentence runs clockwise from the top, the "
    "second one the other way, and a black tick marks where they meet. The squares at a word are its heads; the spikes "
    "under it show from where it is attended to, left or right of itself, and by how many heads (up to three)."
)


class Settings(NamedTuple):
    """How the attention flow is drawn; the order of the controls that are passed to events."""

    tau: float
    auto: bool
    unit: str
    alpha: float
    root: int
    heads: list[str]
    hide_special: bool


@dataclass(frozen=True)
class Parts:
    """Components of the tab."""

    rings: RadialView


def build() -> Parts:
    """Lay out the tab."""
    gr.Markdown(HOW_TO_READ)
    return Parts(RadialView(elem_id="flow", download=None))


def filled(parts: Parts, page: Page) -> list[Any]:
    """What `drawn` fills, in its order."""
    tau, _, _, _, root, *_ = page.settings
    return [page.status, tau, page.words, parts.rings, root]


def wire(parts: Parts, page: Page) -> None:
    """Redraw when a setting changes, select the head that is clicked, save what is asked for."""
    inputs, redrawn_all = [page.shown, *page.settings], filled(parts, page)
    tau, auto, unit, alpha, root, heads, hide = page.settings
    without_tau = [component for component in redrawn_all if component is not tau]
    tau.input(rethresholded, inputs, [*without_tau, auto], **CLICK).success(**page.remembered)
    unit.input(reunited, inputs, redrawn_all, **CLICK).success(**page.remembered)
    changes = [auto.input, alpha.input, root.input, heads.input, hide.input]
    gr.on(changes, redrawn, inputs, redrawn_all, **CLICK).success(**page.remembered)
    parts.rings.head_select(head_selected, page.shown, [page.layer, page.head], **CLICK)
    parts.rings.export(exported, inputs, parts.rings, **CLICK)


def _flows(a: Case, b: Case, settings: Settings) -> FlowPair:
    """Flows at the settings; a threshold that is left to the page is chosen for the pair."""
    where: dict[str, Any] = {
        "unit": UNITS.get(settings.unit, "piece"),
        "root": None if settings.root in (DECISION, None) else settings.root,
        "heads": [head_of(text) for text in settings.heads] if settings.heads else None,
        "hide_special": bool(settings.hide_special),
    }
    tau = first_tau(a.trace, b.trace, **where) if settings.auto else settings.tau
    return compare_flows(a.trace, b.trace, tau, settings.alpha, **where)


def drawn(a: Case, b: Case, settings: Settings) -> tuple[Any, ...]:
    """What the settings change: status, tau, sentence view, radial view, and the tokens to start from."""
    flows = _flows(a, b, settings)
    names, tau = (a.card.ref, b.card.ref), flows.a.graph.tau
    why = f" (the smallest step at which no ring holds more than {LARGEST_RING} tokens)" if settings.auto else ""
    note = f"tau = {tau:g}{why}. {comparison_note(flows.pairing.unit)}"
    note += _pooling_note("A", flows.a) + _pooling_note("B", flows.b)
    if settings.hide_special:
        shares = f"{flows.a.hidden_share:.0%} (A) and {flows.b.hidden_share:.0%} (B)"
        note += f" Special tokens are hidden; they take {shares} of the attention of the tokens shown."
    starts = [("What each task reads", DECISION)]
    starts += [(f"{index + 1}: {text}", index) for index, text in enumerate(flows.pairing.text)]
    root = gr.update(choices=starts, value=settings.root)
    rings = radial(flows, names)
    rings["tour"] = tour(flows)
    return note, tau, sentence(flows, names), rings, root


def _pooling_note(name: str, one: Flow) -> str:
    """Says that a graph starts from several tokens, if it does."""
    pooled = pooled_name(one.graph.root, one.trace.tokens.unit, one.trace.pooling)
    return f" The score of {name} reads the {pooled}: all of them form the first ring." if pooled else ""


@told
def redrawn(shown: Shown | None, *settings: Any) -> Any:
    """The flow with other settings: no model runs."""
    return drawn(*cases_of(shown), Settings(*settings))


@told
def rethresholded(shown: Shown | None, *settings: Any) -> Any:
    """A threshold chosen by hand, which ends the automatic choice."""
    status, _, words, rings, root = drawn(*cases_of(shown), Settings(*settings)._replace(auto=False))
    return status, words, rings, root, False  # tau itself is the visitor's, who may have moved it on


@told
def reunited(shown: Shown | None, *settings: Any) -> Any:
    """Words instead of pieces, or back: the tokens are counted anew."""
    return drawn(*cases_of(shown), Settings(*settings)._replace(root=DECISION))


@told
def head_selected(shown: Shown | None, event: gr.EventData) -> Any:
    """A head was chosen in the radial view, which counts layers as the page does."""
    layer, head = checked_head("head", getattr(event, "head", None))
    heads_of(*cases_of(shown), layer, head)  # refuses a head that is not there
    return layer, head


@told
def exported(
    shown: Shown | None, tau: float, auto: bool, unit: str, alpha: float, root: int, heads: list[str],
    hide_special: bool, event: gr.EventData,
) -> Any:  # fmt: skip
    """The graphs that are shown, with exact numbers, as a file for the visitor's browser."""
    a, b = cases_of(shown)
    flows = _flows(a, b, Settings(tau, auto, unit, alpha, root, heads, hide_special))
    kind = "csv" if getattr(event, "kind", None) == "csv" else "json"
    text = export.graph_csv(a, b, flows) if kind == "csv" else export.graph_json(a, b, flows, alpha)
    download: Download = {"name": f"attention-flow.{kind}", "text": text, "at": time.time()}
    return gr.update(download=download)
