"""The page: layout and wiring. What happens on an event is in `events`, what is drawn in `views` and the panels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr
from gradio.events import api
from gradio.themes import Soft

from attnflow.checkpoints.checkpoint import BUNDLED
from attnflow.web import events, signin
from attnflow.web.answering import AnsweringBlocks
from attnflow.web.endpoints import ENDPOINTS
from attnflow.web.examples import Example, load_examples
from attnflow.web.panels import Predictions, SentenceView, imported
from attnflow.web.shared import CLICK, MODEL, TYPING, Page, SettingControls
from attnflow.web.tabs import TABS, flow, heads
from attnflow.web.tabs.flow import DECISION, UNITS

TITLE = "attnflow"
THEME = Soft(font=["Inter", "system-ui", "Segoe UI", "Noto Sans", "sans-serif"])
"""Fonts of the reader's own machine: no request leaves the page's origin."""
CLOSE_SIDEBAR_ON_PHONES = """() => {
  const toggle = document.querySelector(".sidebar.open .toggle-button");
  if (toggle && window.innerWidth < 768) toggle.click();
}"""
"""There the sidebar covers the page, and a visitor comes for the results."""
REMEMBER = """(model_a, revision_a, model_b, revision_b, a, b, tau, auto, unit, alpha, root, heads, hide) =>
  IMPORTED.then((link) => link.set({ model_a, revision_a, model_b, revision_b, a, b, tau: auto ? "" : tau,
    unit: unit === "Words" ? "word" : "", alpha: alpha === 0.5 ? "" : alpha, hide: hide ? "1" : "",
    root: root < 0 ? "" : root, heads: heads.join(",") }))"""
"""Keeps the address of the page such that it restores what is shown; `IMPORTED` stands for our module of links."""


class Slider(gr.Slider):
    """A slider that takes what its box shows once it is left: the end for a number beyond it, the minimum for none."""

    def preprocess(self, payload: float | None) -> float:
        """Pass a number within bounds on."""
        number = self.minimum if payload is None else payload
        return super().preprocess(min(max(number, self.minimum), self.maximum))


class Pair(NamedTuple):
    """What names the two models and holds the two sentences."""

    model_a: gr.Dropdown
    revision_a: gr.Textbox
    model_b: gr.Dropdown
    revision_b: gr.Textbox
    text_a: gr.Textbox
    text_b: gr.Textbox


@dataclass(frozen=True)
class Controls:
    """What the visitor sets, in the sidebar."""

    pair: Pair
    analyse: gr.Button
    hint: gr.Markdown
    """Says that what is written is not yet what is shown."""
    settings: SettingControls
    examples: gr.Dataset


@dataclass(frozen=True)
class Results:
    """What the visitor looks at above the tabs."""

    story: gr.Markdown
    predictions: Predictions
    words: SentenceView
    status: gr.Markdown
    layer: gr.Dropdown
    head: gr.Dropdown
    switched_off: gr.Markdown
    restore: gr.Button


def build() -> gr.Blocks:
    """Make the page and the endpoints; the caller launches them."""
    examples = load_examples()
    remember = REMEMBER.replace("IMPORTED", imported("shared/link.js"))
    with AnsweringBlocks(title=TITLE, fill_width=True) as demo:
        with gr.Sidebar(width=340):
            controls = _sidebar(examples)
        results = _results()
        page = Page(
            shown=gr.State(None),
            open_tab=gr.State(TABS[0].TITLE),
            layer=results.layer,
            head=results.head,
            settings=controls.settings,
            words=results.words,
            status=results.status,
            remembered={"fn": None, "inputs": [*controls.pair, *controls.settings], "js": remember, **CLICK},
        )
        parts = {}
        with gr.Tabs(elem_id="tabs"):
            for module in TABS:
                with gr.Tab(module.TITLE) as tab:
                    parts[module] = module.build()
                tab.select(lambda title=module.TITLE: title, None, page.open_tab, **CLICK)
        for module in TABS:
            module.wire(parts[module], page)
        _wire(demo, page, controls, results, parts[flow], parts[heads], examples)
        for function in ENDPOINTS:
            api(function, concurrency_id="calls", concurrency_limit=None)
    return demo


def _sidebar(examples: list[Example]) -> Controls:
    if signin.offered():
        gr.LoginButton("Sign in for your gated and private models", size="sm", elem_id="sign-in")
    gr.Markdown(f"# {TITLE}\nWhat do two Transformer checkpoints attend to before they decide?")
    model_a, model_b = (_model_box(f"Model {side}", ref) for side, ref in zip("AB", BUNDLED, strict=True))
    text_a = _text_box("First sentence", examples[0].text_a, "text-a")
    text_b = _text_box("Second sentence (may be empty)", examples[0].text_b, "text-b")
    analyse = gr.Button("Analyse", variant="primary", elem_id="analyse")
    hint = gr.Markdown(elem_id="hint")
    tau = Slider(
        0, 0.95, 0.05, step=0.01, label="Threshold tau", info="Attention up to tau makes no edge.", elem_id="tau"
    )
    auto = gr.Checkbox(True, label="Choose tau for each pair", elem_id="auto-tau")
    unit = gr.Radio(list(UNITS), value="Word pieces", label="Show", elem_id="unit")
    picker = gr.Dataset(
        label="Examples",
        components=["textbox"],
        samples=[[example.title] for example in examples],
        elem_id="examples",
        type="index",
        samples_per_page=20,
    )
    with gr.Accordion("More settings", open=False):
        root = gr.Dropdown(
            [("What each task reads", DECISION)], value=DECISION, label="Start from", elem_id="root", interactive=True
        )
        heads = gr.Dropdown(
            [], value=[], multiselect=True, label="Only these heads", info="All if empty.", elem_id="heads"
        )
        hide = gr.Checkbox(False, label="Hide special tokens", elem_id="hide-special")
        alpha = Slider(
            0.05, 1, 0.5, step=0.05, label="Decay alpha", info="How much each earlier layer counts.", elem_id="alpha"
        )
        revision_a, revision_b = _revision_box("A"), _revision_box("B")
    pair = Pair(model_a, revision_a, model_b, revision_b, text_a, text_b)
    return Controls(pair, analyse, hint, SettingControls(tau, auto, unit, alpha, root, heads, hide), picker)


def _results() -> Results:
    story = gr.Markdown(elem_id="story")
    predictions = Predictions(elem_id="predictions")
    words = SentenceView(elem_id="sentence")
    status = gr.Markdown(elem_id="status")
    with gr.Row(equal_height=True, elem_id="selected-head"):
        layer = gr.Dropdown([("L1", 0)], value=0, label="Selected layer", elem_id="layer", min_width=120)
        head = gr.Dropdown([("H1", 0)], value=0, label="Selected head", elem_id="head", min_width=120)
        switched_off = gr.Markdown(elem_id="switched-off", visible=False)
        restore = gr.Button("Switch all heads on", elem_id="restore-heads", size="sm", visible=False)
    return Results(story, predictions, words, status, layer, head, switched_off, restore)


def _wire(
    demo: gr.Blocks,
    page: Page,
    controls: Controls,
    results: Results,
    rings: flow.Parts,
    matrix: heads.Parts,
    examples: list[Example],
) -> None:
    pair = controls.pair
    recent = gr.BrowserState([], storage_key="attnflow-models", secret="attnflow")  # the same after a restart
    tau, auto, unit, alpha, root, allowed, hide = page.settings
    chosen = [page.layer, page.head, *page.settings]
    filled = [page.shown, results.predictions, *flow.filled(rings, page), allowed, page.layer, page.head]
    filled += [results.switched_off, results.restore]
    inputs, everything = [page.shown, *pair, *chosen], [controls.hint, results.story, *filled]

    opened = demo.load(events.restored, None, [*pair, tau, alpha, auto, unit, hide, root, allowed], **CLICK)
    # Progress and failure show in one place; what was there stays readable.
    analysing = {**MODEL, "show_progress_on": results.predictions}
    opened.then(events.analysed, inputs, everything, **analysing)
    starts = [controls.analyse.click, pair.text_a.submit, pair.text_b.submit]
    gr.on(starts, events.analysed, inputs, everything, **analysing).success(**page.remembered)
    gr.on([demo.load, controls.analyse.click], js=CLOSE_SIDEBAR_ON_PHONES, api_visibility="private")
    picked = controls.examples.click(lambda index: events.example(examples, index), controls.examples, [*pair], **CLICK)
    picked.then(events.analysed, inputs, everything, **analysing).success(**page.remembered)
    results.restore.click(events.restored_heads, [page.shown, *chosen], filled, **CLICK)
    for happens, find, own in heads.prunings(matrix):
        happens(events.pruning(find), [page.shown, *chosen, *own], filled, **CLICK)
    gr.on([box.input for box in pair], lambda: events.CHANGED, None, controls.hint, **TYPING)
    for box in (pair.model_a, pair.model_b):
        box.key_up(events.suggested, None, box, **TYPING)
    for box, revision in ((pair.model_a, pair.revision_a), (pair.model_b, pair.revision_b)):
        gr.on([box.input, revision.submit], events.described, [recent, box, revision], box, **TYPING)
    demo.load(events.offered, recent, [pair.model_a, pair.model_b], **TYPING)
    page.shown.change(events.used, [recent, page.shown], recent, **CLICK)


def _model_box(label: str, ref: str) -> gr.Dropdown:
    return gr.Dropdown(
        events.known_models([]),
        value=ref,
        label=label,
        info=events.MODEL_INFO,
        allow_custom_value=True,
        elem_id=label.lower().replace(" ", "-"),
    )


def _revision_box(side: str) -> gr.Textbox:
    return gr.Textbox(label=f"Revision of {side}", placeholder="newest", elem_id=f"revision-{side.lower()}")


def _text_box(label: str, value: str, elem_id: str) -> gr.Textbox:
    return gr.Textbox(value, label=label, elem_id=elem_id, lines=2, max_lines=6)
