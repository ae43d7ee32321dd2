"""The page: layout and wiring. What is computed lives in `service`, what is drawn in `figures` and the panels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from attnflow import service
from attnflow.checkpoint import BUNDLED
from attnflow.errors import AttnflowError
from attnflow.figures.heatmap import attention_heatmap
from attnflow.figures.radial import radial
from attnflow.figures.sentence import sentence
from attnflow.flow import LARGEST_RING, compare_flows, first_tau
from attnflow.hub import search_models
from attnflow.service import Run
from attnflow.ui import api
from attnflow.ui.examples import Example, load_examples
from attnflow.ui.panels import AttentionMap, Predictions, RadialView, SentenceView

TITLE = "attnflow"
THEME = gr.themes.Soft(font=["Inter", "system-ui", "Segoe UI", "Noto Sans", "sans-serif"])
"""Fonts of the reader's own machine: no request leaves the page's origin."""
HUB_PAIRS = [
    *BUNDLED,
    "google-bert/bert-base-uncased",
    "textattack/bert-base-uncased-MRPC",
    "distilbert/distilbert-base-uncased",
    "FacebookAI/roberta-base",
    "answerdotai/ModernBERT-base",
    "openai-community/gpt2",
]
CLOSE_SIDEBAR_ON_PHONES = """() => {
  const toggle = document.querySelector(".sidebar.open .toggle-button");
  if (toggle && window.innerWidth < 768) toggle.click();
}"""
"""There the sidebar covers the page, and a visitor comes for the results."""
HOW_TO_READ = (
    "The centre is the token that the decision is read from. Each ring outwards is one layer earlier, out to the words "
    "themselves; the first sentence runs clockwise from the top, the second one the other way, and a black tick marks "
    "where they meet. The squares at a word are its heads."
)
UNITS = {"Word pieces": "piece", "Words": "word"}

# What a person does with the page: answered at once, outside the queue, and no endpoint of the API.
_CLICK: dict[str, Any] = {
    "queue": False,
    "show_progress": "hidden",
    "api_visibility": "private",
    "trigger_mode": "always_last",
}
_PROGRESS = gr.Progress()  # Gradio fills a parameter with this default
_MODEL: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 2, "api_visibility": "private"}


@dataclass(frozen=True)
class Shown:
    """What the page shows, kept on the server for one visitor; traces themselves stay in the bounded cache."""

    key_a: tuple[object, ...]
    key_b: tuple[object, ...]
    ref_a: str
    ref_b: str
    text_a: str
    text_b: str

    def runs(self) -> tuple[Run, Run]:
        """Both runs, from memory if they are still there."""
        a, b = service.recall(self.key_a), service.recall(self.key_b)
        return (
            a or service.run(self.ref_a, self.text_a, self.text_b),
            b or service.run(self.ref_b, self.text_a, self.text_b),
        )


@dataclass(frozen=True)
class Controls:
    """What the visitor sets, in the sidebar."""

    pair: list[Component]
    """Model A, its revision, model B, its revision, first and second sentence."""
    analyse: gr.Button
    tau: gr.Slider
    auto: gr.Checkbox
    unit: gr.Radio
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
    tau = gr.Slider(
        0, 0.95, 0.05, step=0.01, label="Threshold tau", info="Attention up to tau makes no edge.", elem_id="tau"
    )
    auto = gr.Checkbox(True, label="Choose tau for each pair", elem_id="auto-tau")
    unit = gr.Radio(list(UNITS), value="Word pieces", label="Show", elem_id="unit")
    with gr.Accordion("Revisions", open=False):
        revision_a, revision_b = _revision_box("A"), _revision_box("B")
    picker = gr.Dataset(
        label="Examples",
        components=["textbox"],
        samples=[[example.title] for example in examples],
        elem_id="examples",
        type="index",
    )
    pair = [model_a, revision_a, model_b, revision_b, text_a, text_b]
    return Controls(pair, analyse, tau, auto, unit, picker)


def _results() -> Results:
    story = gr.Markdown(elem_id="story")
    predictions = Predictions(elem_id="predictions")
    words = SentenceView(elem_id="sentence")
    status = gr.Markdown(elem_id="status")
    with gr.Tabs():
        with gr.Tab("Attention flow"):
            gr.Markdown(HOW_TO_READ)
            flow = RadialView(elem_id="flow")
        with gr.Tab("Attention map"):
            gr.Markdown("The attention of one head: each row is a token that attends, each column one attended to.")
            with gr.Row():
                layer = gr.Dropdown([("L1", 0)], value=0, label="Layer", elem_id="layer")
                head = gr.Dropdown([("H1", 0)], value=0, label="Head", elem_id="head")
            with gr.Row():
                maps = [AttentionMap(elem_id=f"map-{side}", min_width=340) for side in "ab"]
    return Results(story, predictions, words, status, flow, layer, head, maps)


def _wire(demo: gr.Blocks, controls: Controls, results: Results, examples: list[Example]) -> None:
    shown = gr.State(None, time_to_live=3600)
    tau, auto, unit, layer, head = controls.tau, controls.auto, controls.unit, results.layer, results.head
    inputs = [*controls.pair, tau, auto, unit, layer, head]
    redrawn = [results.status, tau, results.words, results.flow]
    everything = [shown, results.story, results.predictions, *redrawn, layer, head, *results.maps]

    text_a, text_b = controls.pair[-2:]
    starts = [controls.analyse.click, text_a.submit, text_b.submit, demo.load]
    gr.on(starts, analysed, inputs, everything, **_MODEL)
    gr.on([demo.load, controls.analyse.click], js=CLOSE_SIDEBAR_ON_PHONES, api_visibility="private")
    chosen = controls.examples.click(
        lambda index: _example(examples, index), controls.examples, controls.pair, **_CLICK
    )
    chosen.then(analysed, inputs, everything, **_MODEL)
    tau.input(rethresholded, [shown, tau, unit], [*redrawn, auto], **_CLICK)
    gr.on([auto.input, unit.input], redisplayed, [shown, tau, auto, unit], redrawn, **_CLICK)
    gr.on([layer.input, head.input], mapped, [shown, layer, head], results.maps, **_CLICK)
    results.flow.head_select(head_selected, shown, [layer, head, *results.maps], **_CLICK)
    for box in (controls.pair[0], controls.pair[2]):
        box.key_up(suggested, None, box, **_CLICK)


def _model_box(label: str, ref: str) -> gr.Dropdown:
    return gr.Dropdown(
        HUB_PAIRS,
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


def _example(examples: list[Example], index: int) -> tuple[str, str, str, str, str, str]:
    chosen = examples[index]
    return chosen.model_a, "", chosen.model_b, "", chosen.text_a, chosen.text_b


def _story(refs: list[str], text_a: str, text_b: str) -> str:
    """What to look for, if one of the examples is shown."""
    for example in load_examples():
        if [example.model_a, example.model_b, example.text_a, example.text_b] == [*refs, text_a, text_b]:
            return f"**{example.title}.** {example.what_to_see}"
    return ""


def _told(error: AttnflowError) -> gr.Error:
    return gr.Error(str(error), title="Not analysed", print_exception=False)


def analysed(
    model_a: str, revision_a: str, model_b: str, revision_b: str, text_a: str, text_b: str,
    tau: float, auto: bool, unit: str, layer: int, head: int, progress: gr.Progress = _PROGRESS,
) -> tuple[Any, ...]:  # fmt: skip
    """Run both models and fill the page."""
    runs = []
    refs = [_ref(model_a, revision_a), _ref(model_b, revision_b)]
    for number, ref in enumerate(refs):
        progress((number, 3), desc=f"Loading and running model {'AB'[number]}")
        try:
            runs.append(service.run(ref, text_a, text_b))
        except AttnflowError as error:
            raise _told(error) from error
    a, b = runs
    progress((2, 3), desc="Drawing")
    shown = Shown(a.key, b.key, _pinned(a), _pinned(b), text_a, text_b)
    layers = _layer_choices(a, b)
    heads = max(a.card.n_heads, b.card.n_heads)
    layer, head = min(layer or 0, len(layers) - 1), min(head or 0, heads - 1)
    return (
        shown,
        _story(refs, text_a, text_b),
        [_prediction(a), _prediction(b)],
        *_drawn(a, b, None if auto else tau, unit),
        gr.update(choices=layers, value=layer),
        gr.update(choices=[(f"H{h + 1}", h) for h in range(heads)], value=head),
        *_maps(a, b, layer, head),
    )


def _ref(model: str | None, revision: str | None) -> str:
    model, revision = (model or "").strip(), (revision or "").strip()
    return f"{model}@{revision}" if revision and model not in BUNDLED else model


def _pinned(run: Run) -> str:
    """A reference to the very commit that was run."""
    return run.card.ref if run.card.ref in BUNDLED else f"{run.card.ref}@{run.card.sha}"


def _drawn(a: Run, b: Run, tau: float | None, unit: str) -> tuple[Any, ...]:
    """Everything that depends on the threshold; without one it is chosen for the pair."""
    chosen = UNITS.get(unit, "piece")
    try:
        found = first_tau(a.trace, b.trace, unit=chosen) if tau is None else tau
        flows = compare_flows(a.trace, b.trace, found, unit=chosen)
    except AttnflowError as error:
        raise _told(error) from error
    names = (a.card.ref, b.card.ref)
    why = f" (the smallest step at which no ring holds more than {LARGEST_RING} tokens)" if tau is None else ""
    note = f"tau = {found:g}{why}. {api.comparison_note(flows.pairing.unit)}"
    return note, found, sentence(flows, names), radial(flows, names)


def rethresholded(shown: Shown | None, tau: float, unit: str) -> tuple[Any, ...]:
    """A new threshold, chosen by hand: no model runs."""
    if shown is None:
        return (gr.skip(),) * 5
    return *_drawn(*shown.runs(), tau, unit), False


def redisplayed(shown: Shown | None, tau: float, auto: bool, unit: str) -> tuple[Any, ...]:
    """Words or pieces, or the threshold left to the page again."""
    if shown is None:
        return (gr.skip(),) * 4
    return _drawn(*shown.runs(), None if auto else tau, unit)


def mapped(shown: Shown | None, layer: int, head: int) -> tuple[Any, Any]:
    """Another head's map."""
    if shown is None:
        return gr.skip(), gr.skip()
    return _maps(*shown.runs(), layer, head)


def head_selected(shown: Shown | None, event: gr.EventData) -> tuple[Any, ...]:
    """A head was chosen in the radial view; its depth counts from the root."""
    if shown is None:
        return (gr.skip(),) * 4
    a, b = shown.runs()
    depth, head = api.whole_number("depth", event.depth), api.whole_number("head", event.head)
    most = max(a.card.n_layers, b.card.n_layers)
    if not 0 <= depth < most or not 0 <= head < max(a.card.n_heads, b.card.n_heads):
        raise gr.Error("There is no such head on this page.", print_exception=False)
    layer = most - 1 - depth
    return layer, head, *_maps(a, b, layer, head)


def _layer_choices(a: Run, b: Run) -> list[tuple[str, int]]:
    """Layers by the deeper model; the other one is aligned with it at the root."""
    most = max(a.card.n_layers, b.card.n_layers)
    names = []
    for layer in range(most):
        own = [layer - most + run.card.n_layers for run in (a, b)]
        both = " · ".join(f"{name} L{index + 1}" for name, index in zip("AB", own, strict=True) if index >= 0)
        names.append((f"L{layer + 1}" if own[0] == own[1] else both, layer))
    return names


def _maps(a: Run, b: Run, layer: int, head: int) -> tuple[Any, Any]:
    most = max(a.card.n_layers, b.card.n_layers)
    values: list[Any] = []
    for run in (a, b):
        own = layer - most + run.card.n_layers
        exists = own >= 0 and head < run.card.n_heads
        values.append((own, service.attention_map(run.trace, own, head)) if exists else None)
    highest = max(float(found[1].max()) for found in values if found)
    return tuple(
        None
        if found is None
        else attention_heatmap(
            found[1],
            run.trace.tokens,
            title=f"{run.card.ref} · L{found[0] + 1} H{head + 1}",
            model=side,
            highest=highest,
        )
        for side, run, found in zip("ab", (a, b), values, strict=True)
    )


def _prediction(run: Run) -> dict[str, Any]:
    card = run.card
    facts = (
        f"{card.architecture} · {card.n_layers} layers x {card.n_heads} heads · "
        f"{card.n_parameters / 1e6:,.1f} M parameters · {card.sha[:7]}"
    )
    return {"name": card.ref, "facts": facts, "classes": api.prediction(run), "note": api.prediction_note(card)}


def suggested(event: gr.KeyUpData) -> Any:
    """Search the Hub for what is being typed; any id can be given without it."""
    text = (event.input_value or "").strip()
    if len(text) < 3 or text in BUNDLED:
        return gr.skip()
    found = search_models(text)
    return gr.update(choices=[*BUNDLED, *found]) if found else gr.skip()
