"""The page: layout and wiring. What happens on an event is in `events`, what is drawn in `views` and the panels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import gradio as gr

from attnflow.web import events, model_box, signin
from attnflow.web.answering import AnsweringBlocks
from attnflow.web.endpoints import ENDPOINTS
from attnflow.web.examples import load_examples
from attnflow.web.forms import Form
from attnflow.web.panels import Predictions, SentenceView, imported
from attnflow.web.settings import Pair, SelectedHead, Settings
from attnflow.web.shared import Page
from attnflow.web.tabs import TABS, flow, heads
from attnflow.web.wiring import CLICK, MODEL, TYPING, components, on

TITLE = "attnflow"
THEME = gr.themes.Soft(font=["Inter", "system-ui", "Segoe UI", "Noto Sans", "sans-serif"])
"""Fonts of the reader's own machine: no request leaves the page's origin."""
CLOSE_SIDEBAR_ON_PHONES = """() => {
  const toggle = document.querySelector(".sidebar.open .toggle-button");
  if (toggle && window.innerWidth < 768) toggle.click();
}"""
"""There the sidebar covers the page, and a visitor comes for the results."""


@dataclass(frozen=True)
class Controls:
    """What the visitor sets, in the sidebar."""

    pair: Form[Pair]
    settings: Form[Settings]
    analyse: gr.Button
    hint: gr.Markdown
    """Says that what is written is not yet what is shown."""
    examples: gr.Dataset


@dataclass(frozen=True)
class Results:
    """What the visitor looks at above the tabs."""

    story: gr.Markdown
    predictions: Predictions
    words: SentenceView
    status: gr.Markdown
    selected: Form[SelectedHead]
    switched_off: gr.Markdown
    restore: gr.Button


def build() -> gr.Blocks:
    """Make the page and the endpoints; the caller launches them."""
    with AnsweringBlocks(title=TITLE, fill_width=True) as demo:
        with gr.Sidebar(width=340):
            controls = _sidebar()
        results = _results()
        page = Page(
            shown=gr.State(None),
            open_tab=gr.State(TABS[0].TITLE),
            selected=results.selected,
            settings=controls.settings,
            words=results.words,
            status=results.status,
            remembered=_remembered(controls.pair, controls.settings),
        )
        parts = {}
        with gr.Tabs(elem_id="tabs"):
            for module in TABS:
                with gr.Tab(module.TITLE) as tab:
                    parts[module] = module.build()
                tab.select(lambda title=module.TITLE: title, None, page.open_tab, **CLICK)
        for module in TABS:
            module.wire(parts[module], page)
        _wire(demo, page, controls, results, parts[flow], parts[heads])
        for function in ENDPOINTS:
            gr.api(function, concurrency_id="calls", concurrency_limit=None)
    return demo


def _remembered(*forms: Form[Any]) -> dict[str, Any]:
    """The event that keeps the address of the page such that it restores what is set."""
    linked = json.dumps([one for form in forms for one in form.linked])
    write = f"(...values) => {imported('shared/link.js')}.then((link) => link.remember({linked}, values))"
    return {"fn": None, "inputs": components(forms), "js": write, **CLICK}


def _sidebar() -> Controls:
    if signin.offered():
        gr.LoginButton("Sign in for your gated and private models", size="sm", elem_id="sign-in")
    gr.Markdown(f"# {TITLE}\nWhat do two Transformer checkpoints attend to before they decide?")
    examples = load_examples()
    pair, settings = Form(examples[0].pair), Form(Settings())
    pair.place()
    analyse = gr.Button("Analyse", variant="primary", elem_id="analyse")
    hint = gr.Markdown(elem_id="hint")
    settings.place()
    picker = gr.Dataset(
        label="Examples",
        components=["textbox"],
        samples=[[example.title] for example in examples],
        elem_id="examples",
        type="index",
        samples_per_page=20,
    )
    with gr.Accordion("More settings", open=False):
        settings.place(more=True)
        pair.place(more=True)
    return Controls(pair, settings, analyse, hint, picker)


def _results() -> Results:
    story = gr.Markdown(elem_id="story")
    predictions = Predictions(elem_id="predictions")
    words = SentenceView(elem_id="sentence")
    status = gr.Markdown(elem_id="status")
    with gr.Row(equal_height=True, elem_id="selected-head"):
        selected = Form(SelectedHead())
        selected.place()
        switched_off = gr.Markdown(elem_id="switched-off", visible=False)
        restore = gr.Button("Switch all heads on", elem_id="restore-heads", size="sm", visible=False)
    return Results(story, predictions, words, status, selected, switched_off, restore)


def _wire(
    demo: gr.Blocks, page: Page, controls: Controls, results: Results, rings: flow.Parts, matrix: heads.Parts
) -> None:
    pair, settings = controls.pair, page.settings
    recent = gr.BrowserState([], storage_key="attnflow-models", secret="attnflow")  # the same after a restart
    filled = [page.shown, results.predictions, *flow.filled(rings, page), settings["heads"], *page.selected.controls]
    filled += [results.switched_off, results.restore]
    sources, everything = [page.shown, pair, page.selected, settings], [controls.hint, results.story, *filled]

    opened = demo.load(events.restore([pair, settings]), None, components([pair, settings]), **CLICK)
    # Progress and failure show in one place; what was there stays readable.
    analysing = {**MODEL, "show_progress_on": results.predictions}
    on(opened.then, events.analyse, sources, everything, **analysing)
    starts = [controls.analyse.click, pair["text_a"].submit, pair["text_b"].submit]
    on(starts, events.analyse, sources, everything, **analysing).success(**page.remembered)
    gr.on([demo.load, controls.analyse.click], js=CLOSE_SIDEBAR_ON_PHONES, api_visibility="private")
    picked = on(controls.examples.click, events.open_example, [controls.examples], pair.controls, **CLICK)
    on(picked.then, events.analyse, sources, everything, **analysing).success(**page.remembered)
    on(results.restore.click, events.restore_heads, [page.shown, page.selected, settings], filled, **CLICK)
    for happens, find, own in heads.prunings(matrix):
        on(happens, events.pruning(find), [page.shown, page.selected, settings, *own], filled, **CLICK)
    gr.on([box.input for box in pair.controls], lambda: events.CHANGED, None, controls.hint, **TYPING)
    for side in "ab":
        box, revision = pair[f"model_{side}"], pair[f"revision_{side}"]
        box.key_up(model_box.suggest, None, box, **TYPING)
        gr.on([box.input, revision.submit], model_box.describe, [recent, box, revision], box, **TYPING)
    demo.load(model_box.offer, recent, [pair["model_a"], pair["model_b"]], **TYPING)
    page.shown.change(events.keep_models, [recent, page.shown], recent, **CLICK)
