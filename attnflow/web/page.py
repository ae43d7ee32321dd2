"""The page: layout and wiring. What happens on an event is in `events`, what is drawn in `views` and the panels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.events import api
from gradio.themes import Soft

from attnflow.web import events, model_box, moments, pane, signin
from attnflow.web.answering import AnsweringBlocks
from attnflow.web.endpoints import ENDPOINTS
from attnflow.web.examples import load_examples
from attnflow.web.forms import Form
from attnflow.web.panels import (
    AttentionMap,
    Moments,
    Panel,
    Predictions,
    SaliencyStrips,
    SentenceView,
    Thresholds,
    imported,
    linked,
)
from attnflow.web.rooms import texts
from attnflow.web.settings import MORE, LinkedHeads, Pair, Settings
from attnflow.web.shared import Page, Shown
from attnflow.web.tabs import TABS, flow, tab_link
from attnflow.web.verbs import connect
from attnflow.web.wiring import CLICK, TYPING, Verb, components, on, on_card

TITLE = "attnflow"
THEME = Soft(font=["Inter", "system-ui", "Segoe UI", "Noto Sans", "sans-serif"])
"""Fonts of the reader's own machine: no request leaves the page's origin."""
ANALYSE_WITH_ENTER = """() => IMPORTED.then((keys) => keys.analyseWithEnter("analyse"))"""
"""Ctrl and Enter in any box; `IMPORTED` stands for our module of keys."""
MENDED = """() => {
  const scripts = performance.getEntriesByType("resource").map(({ name }) => name);
  const address = scripts.find((name) => /\\/statustracker-[^/]*\\.js$/.test(name));
  if (address) Promise.all([import(address), IMPORTED]).then(([theirs, ours]) => {
    ours.outputsAlone(theirs);
    ours.endCount(address);
  });
}"""
"""Finds the module of Gradio's in which `statuses.js` mends what every event costs, and what each frame does."""
WATCHED = """() => IMPORTED.then((connections) => connections.watchConnections())"""
"""Says so where the page gets no connection to the server."""
CLOSE_SIDEBAR_ON_PHONES = """() => {
  const toggle = document.querySelector(".sidebar.open .toggle-button");
  if (toggle && window.innerWidth < 768) toggle.click();
}"""
"""There the sidebar covers the page, and a visitor comes for the results."""
TELL_FAILURE = """() => IMPORTED.then((failures) => failures.told())"""
"""What failed stays under *Analyse*, where the eye is, after the message in the corner has gone."""


@dataclass(frozen=True)
class Controls:
    """What the visitor sets, in the sidebar."""

    pair: Form[Pair]
    settings: Form[Settings]
    linked: Form[LinkedHeads]
    analyse: gr.Button
    hint: gr.Markdown
    """Says that what is written is not yet what is shown."""
    thresholds: Thresholds
    examples: gr.Dataset


@dataclass(frozen=True)
class Strip:
    """What both models decide and which words they look at: above the tabs, and in sight while they are scrolled."""

    predictions: Predictions
    moments: Moments
    words: SentenceView


def build() -> gr.Blocks:
    """Make the page and the endpoints; the caller launches them."""
    with AnsweringBlocks(title=TITLE, fill_width=True) as demo:
        with gr.Sidebar(width=340):
            controls = _sidebar()
        open_tab, parts = gr.State(TABS[0].TITLE), {}
        room = Form(texts.Room())
        room.place()
        with gr.Tabs(elem_id="rooms") as rooms:
            with gr.Tab("One pair", id=texts.PAIR) as pair_tab:
                strip = _strip()
                with gr.Row(elem_id="desk"):
                    with gr.Column(elem_id="main"), gr.Tabs(elem_id="tabs") as tabs:
                        for module in TABS:
                            with gr.Tab(module.TITLE, id=module.TITLE) as tab:
                                parts[module] = module.build()
                            tab.select(lambda title=module.TITLE: title, None, open_tab, **CLICK)
                            tab.select(None, js=linked(tab=tab_link(module.TITLE)), **CLICK)
                    beside = pane.build()
            with gr.Tab(texts.TITLE, id=texts.TEXTS) as texts_tab:
                many = texts.build()
        mended = MENDED.replace("IMPORTED", imported("shared/statuses.js"))
        demo.load(js=mended, api_visibility="private")
        watched = WATCHED.replace("IMPORTED", imported("shared/connections.js"))
        demo.load(js=watched, api_visibility="private")
        texts_tab.select(lambda: texts.TEXTS, None, room["room"], **CLICK)
        demo.load(events.restore_tab, None, [tabs, open_tab], **CLICK)
        demo.load(texts.restore_room, None, [rooms, many.tabs, many.view], **CLICK)
        kept = [part for own in parts.values() for part in vars(own).values() if isinstance(part, Form)]
        kept += [many.chosen, many.training.learnt, room]
        page = _page(demo, controls, strip, beside, parts[flow], open_tab, kept)
        texts.wire(many, page, controls.pair, rooms, room)
        texts.wire_like_this(many, page, beside.like_this, rooms, room)
        texts.wire_moments(many, page, controls.pair, room, pair_tab)
        pane.wire(beside, page)
        for module in TABS:
            module.wire(parts[module], page)
        panels = [block for block in demo.blocks.values() if isinstance(block, Panel)]
        for panel in panels:
            connect(panel, page)
        lit = [panel for panel in panels if isinstance(panel, AttentionMap | SaliencyStrips)]
        on(page.word.change, lambda *of: _light_all(lit, *of), [page.shown, page.word, page.settings], lit, **CLICK)
        for function in ENDPOINTS:
            api(function, concurrency_id="calls", concurrency_limit=None)
    return demo


def _light_all(panels: Sequence[Panel], shown: Shown | None, word: int | None, settings: Settings) -> list[Any]:
    """Mark the selected word in maps and strips."""
    return [gr.update(lit=events.light(shown, word, settings))] * len(panels)


def _remembered(*forms: Form[Any]) -> dict[str, Any]:
    """The event that keeps the address of the page such that it restores what is set."""
    told = json.dumps([one for form in forms for one in form.linked])
    write = f"(...values) => {imported('shared/link.js')}.then((link) => link.remember({told}, values))"
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
    thresholds = Thresholds(elem_id="thresholds")
    linked = Form(LinkedHeads())
    linked.place()
    picker = gr.Dataset(
        label="Examples",
        components=["textbox"],
        samples=[[example.title] for example in examples],
        elem_id="examples",
        type="index",
        samples_per_page=20,
    )
    with gr.Accordion(MORE, open=False):
        settings.place(more=True)
        pair.place(more=True)
    return Controls(pair, settings, linked, analyse, hint, thresholds, picker)


def _strip() -> Strip:
    with gr.Column(elem_id="strip"):
        return Strip(
            Predictions(elem_id="predictions"),
            Moments(elem_id="moments"),
            SentenceView(elem_id="sentence", failed=None),
        )


def _page(
    demo: gr.Blocks,
    controls: Controls,
    strip: Strip,
    beside: pane.Parts,
    drawing: flow.Parts,
    open_tab: gr.State,
    kept: list[Form[Any]],
) -> Page:
    """Connect what stands beside and above the tabs, and make what these share; `kept` are the forms of the tabs."""
    shown, word, pair, settings, selected, linked = (
        gr.State(None),
        gr.State(None),
        controls.pair,
        controls.settings,
        beside.selected,
        controls.linked,
    )
    drawn = [beside.answer, beside.differences, strip.words, *drawing.filled, settings["root"], controls.thresholds]
    filled = [shown, strip.predictions, *drawn, settings["heads"], *selected.controls]
    filled += [beside.pruned, beside.restore, word, *linked.controls]
    remembered = _remembered(pair, settings)
    for form in kept:
        gr.on([control.change for control in form.controls], **_remembered(form))
    chosen = on(
        [box.change for box in selected.controls], events.link_selected, [linked, selected], linked["selected"], **CLICK
    )
    chosen.success(**_remembered(linked))

    def analyse(happens: Any) -> Any:
        sources, outputs = [shown, pair, selected, settings, linked], [controls.hint, beside.story, *filled]
        done = on_card(happens, events.analyse, sources, outputs, strip.predictions, raises=True)
        done.success(**_remembered(linked))
        done.failure(
            None, None, controls.hint, js=TELL_FAILURE.replace("IMPORTED", imported("shared/failures.js")), **CLICK
        )
        return done

    def what_if(changed: Any) -> Any:
        done = analyse(changed.success)
        done.success(**remembered)
        before = [pair["text_a"], pair["text_b"], strip.words]
        return on(done.failure, events.what_was, [shown], before, **CLICK)

    for side, asked in enumerate((strip.predictions.write_a, strip.predictions.write_b)):
        sources, outputs = [shown, pair], [*pair.controls, strip.predictions]
        done = on_card(asked, events.writing(side), sources, outputs, strip.predictions, raises=True)
        analyse(done.success).success(**remembered)

    page = Page(
        shown=shown,
        open_tab=open_tab,
        selected=selected,
        word=word,
        settings=settings,
        drawn=drawn,
        thresholds=controls.thresholds,
        grammar=gr.State(None),
        remembered=remembered,
        select=Verb(events.select, [shown], [*selected.controls, word, drawing.rings, beside.differences]),
        at=Verb(events.start_from, [shown, selected, settings], filled, follow=lambda done: done.success(**remembered)),
        prune=Verb(
            events.prune, [shown, selected, settings], filled, follow=lambda done: done.success(**_remembered(linked))
        ),
        analyse=Verb(
            events.change_pair,
            [shown, pair],
            pair.controls,
            follow=lambda changed: analyse(changed.success).success(**remembered),
        ),
        compare=Verb(lambda shown, _, settings: flow.compare(shown, settings), [shown, settings], [beside.differences]),
        what_if=Verb(events.change_pair, [shown, pair], pair.controls, follow=what_if),
    )
    told = [pair, settings, linked, *kept]
    opened = demo.load(events.restore(told), None, components(told), **CLICK)
    analyse(opened.then)
    analyse([controls.analyse.click, pair["text_a"].submit, pair["text_b"].submit]).success(**remembered)
    demo.load(js=ANALYSE_WITH_ENTER.replace("IMPORTED", imported("shared/keys.js")), api_visibility="private")
    gr.on([demo.load, controls.analyse.click], js=CLOSE_SIDEBAR_ON_PHONES, api_visibility="private")
    page.analyse.on(controls.examples.click, events.find_example, [controls.examples])
    recent = _wire_boxes(demo, pair, controls.hint, shown)
    moments.wire(strip.moments, page, [pair["model_a"], pair["model_b"]], recent)
    return page


def _wire_boxes(demo: gr.Blocks, pair: Form[Pair], hint: gr.Markdown, shown: gr.State) -> gr.BrowserState:
    """Say what a visitor must know while he names models and writes sentences; returns what he used last."""
    recent = gr.BrowserState([], storage_key="attnflow-models", secret="attnflow")  # the same after a restart
    gr.on([box.input for box in pair.controls], lambda: events.CHANGED, None, hint, **TYPING)
    for side in "ab":
        box, revision = pair[f"model_{side}"], pair[f"revision_{side}"]
        box.key_up(model_box.suggest, None, box, **TYPING)
        gr.on([box.input, revision.submit], model_box.describe, [recent, box, revision], box, **TYPING)
    demo.load(model_box.offer, recent, [pair["model_a"], pair["model_b"]], **TYPING)
    shown.change(events.keep_models, [recent, shown], recent, **CLICK)
    return recent
