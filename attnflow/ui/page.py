"""The page: layout and wiring. What happens on an event is in `events`, what is drawn in `figures` and the panels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from attnflow.checkpoint import BUNDLED
from attnflow.ui import api, events
from attnflow.ui.events import DECISION, UNITS
from attnflow.ui.examples import Example, load_examples
from attnflow.ui.panels import AttentionMap, Predictions, RadialView, SentenceView

TITLE = "attnflow"
THEME = gr.themes.Soft(font=["Inter", "system-ui", "Segoe UI", "Noto Sans", "sans-serif"])
"""Fonts of the reader's own machine: no request leaves the page's origin."""
HUB_MODELS = [
    *BUNDLED,
    "google-bert/bert-base-uncased",
    "textattack/bert-base-uncased-MRPC",
    "distilbert/distilbert-base-uncased",
    "FacebookAI/roberta-base",
    "answerdotai/ModernBERT-base",
    "openai-community/gpt2",
]
HOW_TO_READ = (
    "The centre is the token that the decision is read from. Each ring outwards is one layer earlier, out to the words "
    "themselves; the first sentence runs clockwise from the top, the second one the other way, and a black tick marks "
    "where they meet. The squares at a word are its heads; the spikes under it show from where it is attended to, left "
    "or right of itself, and by how many heads (up to three)."
)
CLOSE_SIDEBAR_ON_PHONES = """() => {
  const toggle = document.querySelector(".sidebar.open .toggle-button");
  if (toggle && window.innerWidth < 768) toggle.click();
}"""
"""There the sidebar covers the page, and a visitor comes for the results."""
REMEMBER = """(model_a, revision_a, model_b, revision_b, a, b, tau, auto, unit, alpha, root, heads, hide) =>
  Attnflow.link.set({ model_a, revision_a, model_b, revision_b, a, b, tau: auto ? "" : tau,
    unit: unit === "Words" ? "word" : "", alpha: alpha === 0.5 ? "" : alpha, hide: hide ? "1" : "",
    root: root < 0 ? "" : root, heads: heads.join(",") })"""
"""Keeps the address of the page such that it restores what is shown."""

# What a person does with the page: answered at once, outside the queue, and no endpoint of the API.
_CLICK: dict[str, Any] = {
    "queue": False,
    "show_progress": "hidden",
    "api_visibility": "private",
    "trigger_mode": "always_last",
}
_MODEL: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 2, "api_visibility": "private"}


@dataclass(frozen=True)
class Controls:
    """What the visitor sets, in the sidebar."""

    pair: list[Component]
    """Model A, its revision, model B, its revision, first and second sentence."""
    analyse: gr.Button
    hint: gr.Markdown
    """Says that what is written is not yet what is shown."""
    settings: list[Component]
    """In the order of `events.Settings`."""
    examples: gr.Dataset


@dataclass(frozen=True)
class Results:
    """What the visitor looks at."""

    story: gr.Markdown
    predictions: Predictions
    words: SentenceView
    status: gr.Markdown
    flow: RadialView
    layer: gr.Dropdown
    head: gr.Dropdown
    maps: list[Component]


def build() -> gr.Blocks:
    """Make the page and the endpoints; the caller launches them."""
    examples = load_examples()
    with gr.Blocks(title=TITLE, fill_width=True) as demo:
        with gr.Sidebar(width=340):
            controls = _sidebar(examples)
        results = _results()
        _wire(demo, controls, results, examples)
        for function in api.ENDPOINTS:
            gr.api(function, concurrency_id="model", concurrency_limit=2)
    return demo


def _sidebar(examples: list[Example]) -> Controls:
    gr.Markdown(f"# {TITLE}\nWhat do two Transformer checkpoints attend to before they decide?")
    model_a, model_b = (_model_box(f"Model {side}", ref) for side, ref in zip("AB", BUNDLED, strict=True))
    text_a = _text_box("First sentence", examples[0].text_a, "text-a")
    text_b = _text_box("Second sentence (may be empty)", examples[0].text_b, "text-b")
    analyse = gr.Button("Analyse", variant="primary", elem_id="analyse")
    hint = gr.Markdown(elem_id="hint")
    tau = gr.Slider(
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
        alpha = gr.Slider(
            0.05, 1, 0.5, step=0.05, label="Decay alpha", info="How much each earlier layer counts.", elem_id="alpha"
        )
        revision_a, revision_b = _revision_box("A"), _revision_box("B")
    pair = [model_a, revision_a, model_b, revision_b, text_a, text_b]
    return Controls(pair, analyse, hint, [tau, auto, unit, alpha, root, heads, hide], picker)


def _results() -> Results:
    story = gr.Markdown(elem_id="story")
    predictions = Predictions(elem_id="predictions")
    words = SentenceView(elem_id="sentence")
    status = gr.Markdown(elem_id="status")
    with gr.Tabs():
        with gr.Tab("Attention flow"):
            gr.Markdown(HOW_TO_READ)
            flow = RadialView(elem_id="flow", download=None)
        with gr.Tab("Attention map"):
            gr.Markdown("The attention of one head: each row is a token that attends, each column one attended to.")
            with gr.Row():
                layer = gr.Dropdown([("L1", 0)], value=0, label="Layer", elem_id="layer")
                head = gr.Dropdown([("H1", 0)], value=0, label="Head", elem_id="head")
            with gr.Row():
                maps = [AttentionMap(elem_id=f"map-{side}", min_width=340) for side in "ab"]
    return Results(story, predictions, words, status, flow, layer, head, maps)


def _wire(demo: gr.Blocks, controls: Controls, results: Results, examples: list[Example]) -> None:
    shown = gr.State(None)
    pair, settings, layer, head = controls.pair, controls.settings, results.layer, results.head
    tau, auto, unit, alpha, root, heads, hide = settings
    inputs = [shown, *pair, layer, head, *settings]
    redrawn = [results.status, tau, results.words, results.flow, root]
    everything = [shown, controls.hint, results.story, results.predictions, *redrawn, heads, layer, head, *results.maps]
    flow, remembered = results.flow, {"fn": None, "inputs": [*pair, *settings], "js": REMEMBER, **_CLICK}

    opened = demo.load(events.restored, None, [*pair, tau, alpha, auto, unit, hide, root, heads], **_CLICK)
    # Progress and failure show in one place; what was there stays readable.
    analysing = {**_MODEL, "show_progress_on": results.predictions}
    opened.then(events.analysed, inputs, everything, **analysing)
    starts = [controls.analyse.click, pair[-2].submit, pair[-1].submit]
    gr.on(starts, events.analysed, inputs, everything, **analysing).success(**remembered)
    gr.on([demo.load, controls.analyse.click], js=CLOSE_SIDEBAR_ON_PHONES, api_visibility="private")
    picked = controls.examples.click(lambda index: events.example(examples, index), controls.examples, pair, **_CLICK)
    picked.then(events.analysed, inputs, everything, **analysing).success(**remembered)

    without_tau = [component for component in redrawn if component is not tau]
    tau.input(events.rethresholded, [shown, *settings], [*without_tau, auto], **_CLICK).success(**remembered)
    unit.input(events.reunited, [shown, *settings], redrawn, **_CLICK).success(**remembered)
    changes = [auto.input, alpha.input, root.input, heads.input, hide.input]
    gr.on(changes, events.redrawn, [shown, *settings], redrawn, **_CLICK).success(**remembered)
    gr.on([layer.input, head.input], events.mapped, [shown, layer, head], results.maps, **_CLICK)
    flow.head_select(events.head_selected, shown, [layer, head, *results.maps], **_CLICK)
    flow.export(events.exported, [shown, *settings], flow, **_CLICK)
    gr.on([box.input for box in pair], lambda: events.CHANGED, None, controls.hint, **_CLICK)
    for box in (pair[0], pair[2]):
        box.key_up(events.suggested, None, box, **_CLICK)


def _model_box(label: str, ref: str) -> gr.Dropdown:
    return gr.Dropdown(
        HUB_MODELS,
        value=ref,
        label=label,
        info="Bundled, or any id of the Hub",
        allow_custom_value=True,
        elem_id=label.lower().replace(" ", "-"),
    )


def _revision_box(side: str) -> gr.Textbox:
    return gr.Textbox(label=f"Revision of {side}", placeholder="newest", elem_id=f"revision-{side.lower()}")


def _text_box(label: str, value: str, elem_id: str) -> gr.Textbox:
    return gr.Textbox(value, label=label, elem_id=elem_id, lines=2, max_lines=6)
