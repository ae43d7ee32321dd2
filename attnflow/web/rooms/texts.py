"""The room *Many texts*: its layout and wiring."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import gradio as gr
from gradio.components import Component

from attnflow import limits
from attnflow.corpus.texts import TRAINING
from attnflow.records.texts import Texts
from attnflow.service.collections import Page as OpenPage
from attnflow.service.offered import models
from attnflow.web.forms import Form, setting
from attnflow.web.moments import EVERY
from attnflow.web.panels import TextFile, TextMap, TextMoments, linked
from attnflow.web.rooms import answers, corpus, finding, grammar, heads, sent, text_moments, training
from attnflow.web.rooms.chosen import COLUMNS, GUESSED, NONE, Chosen
from attnflow.web.rooms.finding import Alike
from attnflow.web.rooms.grammar_cell import VIEW
from attnflow.web.rooms.reading import (
    CANCELLED,
    PRESS,
    Collected,
    Matches,
    Step,
    checked_labels,
    column_updates,
    may_begin,
    read,
)
from attnflow.web.settings import Pair, SelectedHead
from attnflow.web.shared import Page, Shown
from attnflow.web.wiring import CLICK, TYPING, components, on, on_card

TITLE = "Many texts"
PAIR, TEXTS = "pair", "texts"
"""The two rooms, as the address names them."""
INTRO = (
    "Both models of the sidebar read a whole collection: each point and each row is a text. Filter, select, colour and "
    "order them; a row opens its text in *One pair*. Heads that are switched off there are off here, too."
)
VIEWS = ("map", "heads", "corpus", VIEW)
"""The tabs of this room, as the address names them; it leaves the first out."""
READ_FIRST = "Read some texts with both models first; then *Texts like the shown pair* finds them."
ANSWERED = ("layout", "unlaid", "rows", "found", "download", "ready", "opened")
"""Properties of the map, which answer what it asks."""
ASKED: dict[str, Any] = {**CLICK, "trigger_mode": "multiple"}
"""Each of these is answered, also where the next one comes before its answer."""


@dataclass(frozen=True)
class Room:
    """Which room is open."""

    room: str = setting(
        PAIR,
        lambda room: gr.Textbox(room, label="Room", visible="hidden", elem_id="room"),
        link="room",
        read={PAIR: PAIR, TEXTS: TEXTS}.get,
    )


@dataclass(frozen=True)
class Parts:
    """Components of the room."""

    chosen: Form[Chosen]
    file: TextFile
    read: gr.Button
    status: gr.Markdown
    matching: gr.Accordion
    classes: list[gr.Dropdown]
    """What each label of the texts stands for."""
    labels: gr.State
    """The labels that these boxes are about, in their order."""
    finding: finding.Parts
    training: training.Parts
    moments: TextMoments
    map: TextMap
    heads: heads.Parts
    corpus: corpus.Parts
    grammar: grammar.Parts
    tabs: gr.Tabs
    views: dict[str, gr.Tab]
    """Its tabs, by the names of `VIEWS`."""
    view: gr.State
    """Which of them is open."""
    collected: gr.State
    sliced: gr.State
    page: gr.State

    @property
    def filled(self) -> list[Component]:
        """What a step of reading fills."""
        matching = cast("Component", self.matching)  # which an event can change as if it were one
        boxes = [self.chosen[name] for name in COLUMNS]
        return [
            self.status,
            self.read,
            self.collected,
            self.map,
            *boxes,
            self.finding.head,
            self.labels,
            matching,
            *self.classes,
        ]


def build() -> Parts:
    """Lay out the room."""
    gr.Markdown(INTRO)
    chosen = Form(Chosen())
    with gr.Row(elem_id="texts-controls"):
        chosen.place()
        file = TextFile(sent.asked(), elem_id="texts-file", min_width=260)
        with gr.Column(min_width=200):
            button = gr.Button("Read them with both models", variant="primary", elem_id="read-texts")
    status = gr.Markdown(PRESS, elem_id="texts-status")
    with gr.Accordion("Which columns, which rows", open=False, elem_id="texts-more"), gr.Row():
        chosen.place(more=True)
    with gr.Accordion(
        "Which class each label stands for", open=True, visible=False, elem_id="texts-matching"
    ) as matching:
        gr.Markdown("Labels and classes are matched by their names alone. Choose the rest, and read the texts again.")
        with gr.Row():
            classes = [
                gr.Dropdown(
                    [NONE], label=f"Label {number + 1}", visible=False, elem_id=f"texts-class-{number}", min_width=160
                )
                for number in range(limits.MAX_MATCHED_LABELS)
            ]
    views = dict[str, gr.Tab]()
    with gr.Tabs(elem_id="texts-tabs") as tabs:
        with gr.Tab("Map", id="map") as views["map"]:
            found = finding.build()
            trained = training.build()
            moved = TextMoments(elem_id="text-moments", stopped=None)
            drawn = TextMap(elem_id="text-map", **dict.fromkeys(ANSWERED))
        with gr.Tab(heads.TITLE, id="heads") as views["heads"]:
            beside = heads.build()
        with gr.Tab(corpus.TITLE, id="corpus") as views["corpus"]:
            over_all = corpus.build()
        with gr.Tab(grammar.TITLE, id=VIEW) as views[VIEW]:
            of_trees = grammar.build()
    return Parts(
        chosen, file, button, status, matching, classes, gr.State(()), found, trained, moved, drawn, beside, over_all,
        of_trees, tabs, views, view=gr.State("map"), collected=gr.State(None), sliced=gr.State(None),
        page=gr.State(OpenPage()),
    )  # fmt: skip


def wire(parts: Parts, page: Page, pair: Form[Pair], rooms: gr.Tabs, room: Form[Room]) -> None:
    """Read the texts when the room is first opened or the button pressed, and answer what the map asks."""
    sources = [parts.chosen, pair, page.shown, parts.page, parts.training.learnt, parts.labels]
    reading: dict[str, Any] = {"otherwise": lambda: _filled(Step("", reading=False)), "cancelled": CANCELLED}
    on_card(parts.read.click, read_all, [*sources, *parts.classes], parts.filled, parts.map, **reading)
    opened = [room, parts.collected, *sources]
    on_card(room["room"].change, open_room, opened, parts.filled, parts.map, when=may_open, **reading)
    asked = [parts.training.learnt, parts.collected, pair, page.shown, parts.page, parts.labels, *parts.classes]
    filled = [parts.chosen["source"], parts.chosen["rows"], *parts.filled]
    on_card(parts.training.show.click, show_learnt, asked, filled, parts.map)
    files: Any = parts.file
    on(files.sent, sent.take, [parts.page], [parts.chosen["source"], parts.chosen["sent"]], **CLICK)
    shown = parts.map
    events: Any = shown  # Gradio gives it the events that it names
    for event, answer in (
        (events.layout, answers.layout),
        (events.rows, answers.rows),
        (events.search, answers.search),
    ):
        on(event, answer, [parts.collected], shown, **ASKED)
    on(events.keep, answers.keep, [parts.collected], shown, **ASKED)
    on(events.slice, answers.slice_, [parts.collected], parts.sliced, **CLICK)
    page.analyse.on(events.open, answers.find_text, [parts.collected])
    outputs = [cast("Component", rooms), *components([room]), shown]
    on(events.open, answers.go_to_pair, [parts.collected], outputs, **CLICK)
    filled = [parts.status, parts.collected, shown]
    finding.wire(parts.finding, page.shown, page.selected, parts.collected, filled)
    heads.wire(parts.heads, parts.collected, parts.sliced)
    corpus.wire(parts.corpus, page, parts.collected, outputs)
    grammar.wire(parts.grammar, page, parts.collected, parts.view, outputs)
    for name, tab in parts.views.items():
        tab.select(lambda name=name: name, None, parts.view, **CLICK)
        tab.select(None, js=linked(view="" if name == "map" else name), **CLICK)
    for source, button in parts.grammar.readers.items():
        chosen = on(button.click, lambda source=source: source, [], parts.chosen["source"], **CLICK)
        on_card(chosen.success, read_all, [*sources, *parts.classes], parts.filled, parts.map, **reading)


def wire_like_this(parts: Parts, page: Page, button: gr.Button, rooms: gr.Tabs, room: Form[Room]) -> None:
    """Let a button of *One pair* find texts like the pair, and show them."""
    outputs = [cast("Component", rooms), *components([room]), parts.status, parts.collected, parts.map]
    sources = [page.shown, page.selected, parts.collected, parts.finding.alike]
    on(button.click, find_like_this, sources, outputs, **CLICK)


def wire_moments(parts: Parts, page: Page, pair: Form[Pair], room: Form[Room], pair_tab: gr.Tab) -> None:
    """Let the sliders above the map move each model through its training, and *One pair* follow once it is opened."""
    moved, collected = parts.moments, parts.collected
    events: Any = moved  # Gradio gives it the events that it names
    asked, known, due = gr.State(None), gr.State(None), gr.State(0.0)
    boxes = [pair[name] for name in ("model_a", "revision_a", "model_b", "revision_b")]
    chosen = on(events.read, text_moments.ask, [known], asked, **CLICK)
    filled = [*parts.filled, moved, *boxes]
    reading: dict[str, Any] = {"otherwise": _moment_left, "cancelled": CANCELLED}
    done = on_card(chosen.success, read_moment, [asked, collected], filled, parts.map, **reading)
    done.success(**page.remembered)
    on(collected.change, text_moments.follow, [collected, known], [moved, known], **CLICK)
    if models.any:
        clock = gr.Timer(EVERY)
        on(clock.tick, text_moments.follow, [collected, known], [moved, known], **TYPING)
    on(pair_tab.select, leave, [room, page.shown, collected, pair], [*components([room]), due], **CLICK)
    page.analyse.on(due.change, text_moments.same_pair)


def read_moment(asked: text_moments.AskedMoment, collected: Collected | None) -> Iterator[list[Any]]:
    """What the room shows while a model reads as it was at another moment, step by step."""
    for step in text_moments.read(asked, collected):
        yield [*_filled(step), gr.skip(), *text_moments.boxes(step.collected)]


def _moment_left() -> list[Any]:
    """What the room shows once a moment was not read after all: as before, with the slider where it was."""
    return [*_filled(Step("", reading=False)), gr.update(stopped=time.time()), *text_moments.boxes(None)]


def leave(room: Room, shown: Shown | None, collected: Collected | None, pair: Pair) -> tuple[str, Any]:
    """Open *One pair*: which room that is, and when it is to be analysed anew, in seconds."""
    by_hand = room.room == TEXTS  # else a row was opened, which is analysed
    return PAIR, time.time() if by_hand and text_moments.behind(shown, collected, pair) else gr.skip()


def find_like_this(shown: Shown | None, at: SelectedHead, collected: Collected | None, by: Alike) -> tuple[Any, ...]:
    """The room *Many texts* with the texts like the shown pair; without texts, what to do there."""
    open_ = gr.Tabs(selected=TEXTS), TEXTS
    if collected is None:
        return *open_, READ_FIRST, gr.skip(), gr.skip()
    return *open_, *finding.find_alike(shown, at, collected, by)


def read_all(
    chosen: Chosen,
    pair: Pair,
    shown: Shown | None,
    page: OpenPage,
    learnt: training.Learnt,
    labels: Sequence[str],
    *classes: Any,
) -> Iterator[list[Any]]:
    """What the room shows, step by step."""
    for step in read(chosen, pair, shown, page, checked_labels(labels, classes), learnt.burn_out):
        yield _filled(step)


def show_learnt(
    asked: training.Learnt,
    collected: Collected | None,
    pair: Pair,
    shown: Shown | None,
    page: OpenPage,
    labels: Sequence[str],
    *classes: Any,
) -> Iterator[list[Any]]:
    """How texts were learnt, step by step; a recording that brings its own texts changes what is chosen."""
    brings = training.brings_texts(asked, collected)
    matched = [] if brings else checked_labels(labels, classes)
    source = [TRAINING, training.BUNDLED_ROWS] if brings else [gr.skip(), gr.skip()]
    for step in training.show(asked, collected, pair, shown, page, matched):
        yield [*source, *_filled(step, guessed=brings)]


def may_open(room: Room, collected: Collected | None, chosen: Chosen, pair: Pair, *rest: Any) -> bool:
    """Whether the room reads by itself when it is opened: the bundled pairs, if both models are bundled, too."""
    return room.room == TEXTS and collected is None and may_begin(chosen, pair)


def open_room(
    room: Room,
    collected: Collected | None,
    chosen: Chosen,
    pair: Pair,
    shown: Shown | None,
    page: OpenPage,
    learnt: training.Learnt,
    labels: Any,
) -> Iterator[Any]:
    """What the room shows when it is opened first, step by step."""
    yield from read_all(chosen, pair, shown, page, learnt, labels)


def restore_room(request: gr.Request) -> tuple[Any, Any, Any]:
    """Open the room that a shared link names, and its tab: the rooms, the tabs, which one is open."""
    query = dict(request.query_params)
    room = gr.Tabs(selected=TEXTS) if query.get("room") == TEXTS else gr.skip()
    view = query.get("view", "")
    return (room, gr.Tabs(selected=view), view) if view in VIEWS else (room, gr.skip(), gr.skip())


def _filled(step: Step, guessed: bool = False) -> list[Any]:
    """Updates of what a step fills; `guessed` if all columns are to be guessed from now on."""
    kept = gr.skip()
    return [
        step.status,
        gr.update(interactive=not step.reading),
        kept if step.collected is None else step.collected,
        kept
        if step.payload is None
        else gr.update(value=step.payload)
        if step.more
        else gr.update(value=step.payload, opened=None, layout=None, rows=None, found=None, ready=None),
        *_boxes(step.texts, guessed),
        _head_box(step),
        *_matching(step),
    ]


def _boxes(texts: Texts | None, guessed: bool) -> list[Any]:
    value = {"value": GUESSED} if guessed else {}
    return [gr.skip() for _ in COLUMNS] if texts is None else [update | value for update in column_updates(texts)]


def _head_box(step: Step) -> Any:
    """The heads that can be switched off, once texts were read."""
    if step.collected is None or step.more:
        return gr.skip()
    choices = finding.head_choices(step.collected.surveys()) if step.collected.refs else []
    return gr.update(choices=choices, value=choices[0][1] if choices else None)


def _matching(step: Step) -> list[Any]:
    """Updates of the labels, of what holds their boxes, and of each box."""
    if step.collected is None or step.more:  # what was chosen stays until there is something new
        return [gr.skip()] * (2 + limits.MAX_MATCHED_LABELS)
    found: Matches | None = step.matches
    boxes: list[Any] = [gr.update(visible=False)] * limits.MAX_MATCHED_LABELS
    labels = () if found is None else found.labels
    for number, label in enumerate(labels):
        assert found is not None, "which has these labels"
        value = found.chosen.get(label, NONE)
        boxes[number] = gr.update(visible=True, label=label[:60], choices=[*found.classes, NONE], value=value)
    return [labels, gr.update(visible=found is not None), *boxes]
