"""The tab *Corpus* of the room: what the heads of both models do over all its texts, as the papers show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import gradio as gr
from gradio.components import Component

from attnflow import progress
from attnflow.errors import SelectionError
from attnflow.service.head_examples import BROAD, HeadExamples, head_examples
from attnflow.service.offered import corpora
from attnflow.service.room_corpus import MOST_SLOW, AskedOf
from attnflow.views import corpus_charts as charts
from attnflow.views.collected import meta_names
from attnflow.views.corpus_findings import KIND_TITLES
from attnflow.views.corpus_model import CorpusModel, corpus_model
from attnflow.views.corpus_table import head_rows
from attnflow.views.payloads import SIDES, ChartFigure, OtherPair
from attnflow.web import arguments
from attnflow.web.endpoints.checks import whole_number
from attnflow.web.forms import Form, setting, switch
from attnflow.web.panels import Chart, Note
from attnflow.web.rooms.answers import pair_of
from attnflow.web.rooms.corpus_head import NO_HEAD, At, Reached, best_example, known, marked, of_row, shows
from attnflow.web.rooms.corpus_kept import KEPT, open_kept
from attnflow.web.rooms.reading import Collected, collected_of, models_of
from attnflow.web.settings import SelectedHead
from attnflow.web.shared import Page, Shown
from attnflow.web.verbs import Selection, find_selection
from attnflow.web.wiring import CLICK, on, on_card

TITLE = "Corpus"
NO_GROUPS = ""
"""Of what texts are grouped by: nothing."""
N_CHARTS = 10
INTRO = (
    "What each head of both models does over all texts that were read, as Clark et al. (2019) and Pascual et al. "
    "(2021) showed it of BERT. Each point is a head: click one, or a row of the table, to select it on the whole page. "
    "Every head is on here, also those that are switched off on the page."
)
PRESS = "Not measured yet: read texts with both models, and press “Measure the heads”."
COMING = "Still to come: the bar above tells how far it is."
ONE_RUN = "Only one run is open, as that of model A; open two to compare."
NOT_SLOW = f"Not measured: tick “Gradients and agreement” (slow, over at most {MOST_SLOW} texts) and measure again."


@dataclass(frozen=True)
class Drawn:
    """What is measured and drawn."""

    kind: str = setting(
        "separator",
        lambda kind: gr.Dropdown(
            [(title[0].upper() + title[1:], name) for name, title in KIND_TITLES.items()],
            value=kind,
            label="Attention to",
            elem_id="corpus-of",
            min_width=160,
        ),
    )
    layer: int = setting(
        0,
        lambda layer: gr.Dropdown(
            [("L1", 0)], value=layer, label="Positions of layer", elem_id="corpus-layer", min_width=120
        ),
    )
    group_by: str = setting(
        NO_GROUPS,
        lambda group: gr.Dropdown(
            [("(no groups)", NO_GROUPS)], value=group, label="By group", elem_id="corpus-group", min_width=140
        ),
    )
    slow: bool = switch(
        False,
        label="Gradients and agreement",
        info=f"slow: over at most {MOST_SLOW} texts",
        elem_id="corpus-slow",
        min_width=200,
    )


@dataclass(frozen=True)
class Parts:
    """Components of the tab."""

    drawn: Form[Drawn]
    measure: gr.Button
    kept: gr.Dropdown
    """Runs that the operator of this machine offers; hidden where there are none."""
    open: gr.Button
    told: Note
    """What was measured, and its bar: all cards of the tab wait for it."""
    selected: Note
    door: gr.Button
    charts: list[Chart]
    table: gr.Dataframe
    reached: gr.State
    at: gr.State
    about: gr.State
    """The key of the collection whose columns are offered."""


def build() -> Parts:
    """Lay out the tab."""
    gr.Markdown(INTRO)
    drawn = Form(Drawn())
    with gr.Row(elem_id="corpus-controls"):
        drawn.place()
        measure = gr.Button("Measure the heads", variant="primary", elem_id="measure-corpus", min_width=160)
    offered = corpora.names()
    with gr.Row(visible=bool(offered), elem_id="corpus-kept"):
        kept = gr.Dropdown(
            offered,
            label="Or runs that were kept: of A, and of B",
            multiselect=True,
            max_choices=2,
            elem_id="kept-runs",
        )
        open_ = gr.Button("Open them", elem_id="open-runs", min_width=160, scale=0)
    told = Note(PRESS, elem_id="corpus-told")
    selected = Note(NO_HEAD, elem_id="corpus-head")
    door = gr.Button("Show it in One pair", size="sm", elem_id="corpus-door")
    drawn_charts = list[Chart]()
    for row in (
        ("kind", "entropy"),
        ("positions-a", "positions-b"),
        ("map-a", "map-b"),
        ("centres", "gradients"),
        ("local", "input"),
    ):
        with gr.Row(elem_classes="af-stack"):
            drawn_charts += [Chart(elem_id=f"corpus-{name}", min_width=340) for name in row]
    table = gr.Dataframe(
        headers=["model", "head", "name"],
        interactive=False,
        label="All heads: press a heading to sort, a row to select",
        elem_id="corpus-heads",
        max_height=420,
        show_search="filter",
    )
    return Parts(
        drawn,
        measure,
        kept,
        open_,
        told,
        selected,
        door,
        drawn_charts,
        table,
        gr.State(None),
        gr.State(None),
        gr.State(""),
    )


def wire(parts: Parts, page: Page, collected: gr.State, shown_in: Sequence[Component]) -> None:
    """Measure when asked, follow the selection, and open an example.

    Args:
        parts: Components of the tab.
        page: What is selected on the whole page, and how another pair is opened.
        collected: `Collected`: the texts.
        shown_in: The rooms, which of them is open, and the map of texts.
    """
    filled = [parts.told, parts.reached, parts.table, parts.drawn["layer"], *parts.charts]
    on_card(parts.measure.click, measure, [collected, parts.drawn, parts.at], filled, parts.told)
    on_card(parts.open.click, show_kept, [parts.kept, parts.drawn, parts.at], filled, parts.told)
    about = [parts.about, *filled, parts.drawn["group_by"], parts.selected]
    on(collected.change, renew, [collected, parts.reached, parts.about], about, **CLICK)
    sources = [parts.reached, parts.drawn, parts.at]
    changes = [parts.drawn["kind"].change, parts.drawn["layer"].change, parts.at.change]
    on(changes, redraw, sources, [parts.selected, *parts.charts], **CLICK)
    for chart in parts.charts:
        on(cast("Any", chart).select, pick, [parts.reached], parts.at, **CLICK)
    on(parts.table.select, pick_row, [parts.reached], parts.at, **CLICK)
    page.select.on(parts.table.select, find_row, [parts.reached, page.settings])
    moved = [control.change for control in page.selected.controls]
    on(moved, follow, [parts.reached, page.shown, page.selected, parts.at], parts.at, **CLICK)
    example = [collected, parts.reached, parts.at]
    page.analyse.on(parts.door.click, lambda shown, *values: find_example(*values), example)
    on(parts.door.click, go_to_example, example, list(shown_in), **CLICK)


def measure(collected: Collected | None, drawn: Drawn, at: At | None) -> Iterator[Any]:
    """What is quick of both models, and then what is slow, if that is asked for."""
    collected = models_of(collected_of(collected))
    opened, surveys = collected.opened(), collected.surveys()
    asked = [AskedOf(opened, ref, collected.page, dict(collected.labels), collected.too_long) for ref in collected.refs]
    end, count = 0.2 if drawn.slow else 1.0, len(asked)
    models, examples, quick = list[CorpusModel](), list[HeadExamples](), []
    for number, (side, one, survey) in enumerate(zip(SIDES, asked, surveys, strict=True)):
        with progress.part(end * number / count, end * (number + 0.8) / count, side.upper()):
            quick.append(one.quick(drawn.group_by or None))
        with progress.part(end * (number + 0.8) / count, end * (number + 1) / count, side.upper()):
            progress.tell("Laying its heads out", 0)
            models.append(corpus_model(side, quick[-1]))
            broad = any(BROAD in model_name for model_name in models[-1].table["name"].ravel().tolist())
            examples.append(head_examples(opened, survey, one.ref, broad=broad))
    reached = Reached(collected.key, collected.refs, tuple(models), tuple(examples))
    yield _filled(reached, drawn, at, COMING if drawn.slow else NOT_SLOW)
    if not drawn.slow:
        return
    for number, (side, one) in enumerate(zip(SIDES, asked, strict=True)):
        with progress.part(end + (1 - end) * number / count, end + (1 - end) * (number + 1) / count, side.upper()):
            lacks = [f"{side.upper()} cannot have {name}, because {why}." for name, why in one.lacks().items()]
            head_map = models[number].map
            models[number] = corpus_model(side, quick[number], one.slow(), lacks, lambda _, known=head_map: known)
        reached = Reached(collected.key, collected.refs, tuple(models), tuple(examples))
        yield _filled(reached, drawn, at)


def show_kept(names: Any, drawn: Drawn, at: At | None) -> tuple[Any, ...]:
    """What was measured elsewhere, of one model or two."""
    return _filled(open_kept(names), drawn, at)


def renew(collected: Collected | None, reached: Reached | None, about: str) -> tuple[Any, ...]:
    """Offer the columns of other texts, and drop what was measured of those before; `about` tells which are offered."""
    if collected is None or collected.key == about:  # the same texts, of which more is known now
        return gr.skip(), *[gr.skip()] * (6 + N_CHARTS)
    texts = collected.opened().texts
    own = ["label"] if any(text.label is not None for text in texts) else []
    names = dict.fromkeys([*own, *meta_names(texts)])
    choices = [("(no groups)", NO_GROUPS), *((name[:60], name) for name in names)]
    groups = gr.update(choices=choices, value=NO_GROUPS)
    if reached is not None and reached.key == collected.key:  # measured before this was told
        return collected.key, *[gr.skip()] * (4 + N_CHARTS), groups, gr.skip()
    return collected.key, PRESS, None, None, gr.skip(), *[None] * N_CHARTS, groups, NO_HEAD


def redraw(reached: Reached | None, drawn: Drawn, at: At | None) -> Any:
    """What is known of the marked head, and all charts."""
    if reached is None:
        return [gr.skip()] * (1 + N_CHARTS)
    return known(reached, at), *_figures(reached, drawn, at)


def pick(reached: Reached | None, event: gr.EventData) -> Any:
    """Mark the head that an event of the kind `payloads.Selected` names."""
    head, side = getattr(event, "head", None), getattr(event, "side", None)
    return gr.skip() if reached is None else marked(reached, head, side)


def pick_row(reached: Reached | None, event: gr.EventData) -> Any:
    """Mark the head of a row of the table."""
    if reached is None:
        return gr.skip()
    wanted = of_row(reached, event)
    return marked(reached, wanted.get("head"), wanted.get("side"))


def find_row(shown: Shown | None, reached: Reached | None, settings: Any, event: gr.EventData) -> Selection | None:
    """The head of a row of the table, for the whole page; nothing while it shows no pair or other models."""
    if reached is None or not shows(shown, reached):
        return None
    wanted = of_row(reached, event)
    return find_selection(shown, settings, cast("gr.EventData", gr.EventData(None, dict(wanted))))


def follow(reached: Reached | None, shown: Shown | None, selected: SelectedHead, at: At | None) -> Any:
    """Mark the head that is selected on the page, if the page shows these models."""
    if reached is None or not shows(shown, reached):
        return gr.skip()
    layer, head = whole_number("layer", selected.layer), whole_number("head", selected.head)
    return At(layer, head, "a" if at is None else at.side)


def find_example(collected: Collected | None, reached: Reached | None, at: At | None) -> OtherPair | None:
    """The pair that shows the marked head best.

    Raises:
        SelectionError: If nothing is measured or marked, or there is no such text.
    """
    if reached is not None and reached.key.startswith(KEPT):
        best_example(reached, at)  # which says that they keep no texts
    collected = collected_of(collected)
    if reached is None or reached.key != collected.key:
        raise SelectionError("The heads have not been measured over these texts yet; press Measure the heads.")
    return pair_of(collected, best_example(reached, at)[0])


def go_to_example(collected: Collected | None, reached: Reached | None, at: At | None) -> Any:
    """Switch to *One pair*, and remember which row it shows: the rooms, their choice, the map."""
    try:
        find_example(collected, reached, at)
    except SelectionError:  # which the event that finds it tells
        return gr.skip(), gr.skip(), gr.skip()
    assert reached is not None, "or there were no example"
    return gr.Tabs(selected="pair"), "pair", gr.update(opened=best_example(reached, at)[0])


def _filled(reached: Reached, drawn: Drawn, at: At | None, without_slow: str = NOT_SLOW) -> tuple[Any, ...]:
    rows = head_rows(reached.models)
    table = gr.update(headers=list(rows.headers), datatype=rows.types, value=[list(row) for row in rows.rows])
    layers = gr.update(choices=[(f"L{layer + 1}", layer) for layer in range(reached.depth)])
    return _told(reached), reached, table, layers, *_figures(reached, drawn, at, without_slow)


def _told(reached: Reached) -> str:
    """What was read, and what could not be."""
    told = []
    for model in reached.models:
        more = [f"{model.cut:,} of them cut"] * bool(model.cut)
        if model.failed:
            guid, why = next(iter(model.failed.items()))
            more.append(f"{len(model.failed):,} could not be read (first {guid[:40]}: {why[:200]})")
        if model.n_slow:
            more.append(f"gradients and agreement over {model.n_slow:,}")
        told.append(f"{model.side.upper()}, {model.name}: {', '.join([f'{model.n:,} texts', *more])}.")
    return " ".join(told + [lack for model in reached.models for lack in model.lacks])


def _figures(reached: Reached, drawn: Drawn, at: At | None, without_slow: str = NOT_SLOW) -> list[ChartFigure]:
    """All charts, in their order; `without_slow` is told where nothing slow is measured."""
    models, marked = reached.models, reached.own(at)
    if drawn.kind not in KIND_TITLES:
        raise SelectionError(f"kind is {arguments.came(drawn.kind)}; choose {', '.join(KIND_TITLES)}.")
    layer = min(max(whole_number("layer", drawn.layer), 0), reached.depth - 1)
    a, b = models if len(models) == 2 else (models[0], None)
    figures = [
        charts.attention_by_kind(models, drawn.kind, marked),
        charts.entropy(models, marked),
        charts.positions(a, layer, marked),
        charts.missing("B", ONE_RUN) if b is None else charts.positions(b, layer, marked),
        charts.head_map(a, marked),
        charts.missing("B", ONE_RUN) if b is None else charts.head_map(b, marked),
        charts.centres(models),
    ]
    if not any(model.n_slow or model.lacks for model in models):
        titles = charts.GRADIENTS, charts.agreement_title("previous layer"), charts.agreement_title("input")
        return [*figures, *(charts.missing(title, without_slow) for title in titles)]
    slow = charts.gradients(models), *(charts.correlations(models, source) for source in ("previous layer", "input"))
    return [*figures, *slow]
