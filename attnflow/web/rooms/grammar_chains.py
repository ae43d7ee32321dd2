"""The card *Coreference* of the tab *Grammar*: which heads find whom a mention stands for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from attnflow import progress
from attnflow.corpus.texts import CHAINS
from attnflow.errors import SelectionError
from attnflow.records.texts import Texts
from attnflow.service.corpora import corpora
from attnflow.views.coreference_bars import ChainsModel, coreference_bars
from attnflow.views.payloads import SIDES
from attnflow.web.panels import Chart, Note
from attnflow.web.rooms.grammar_cell import by_itself
from attnflow.web.rooms.reading import Collected, collected_of, models_of
from attnflow.web.wiring import CLICK, on, on_card

INTRO = (
    "### Coreference\n"
    "*Anna … she*: who is meant? For each mention that stands for somebody or something named before, each head is "
    "asked for the word before it that the mention attends to most; it is right if that is the head word of an earlier "
    "mention of the same (Clark et al. 2019, 4.3). Beside it stand three rules that need no model."
)
NEEDED = (
    "This needs texts whose coreference chains are known: read the bundled pairs, or choose a file of yours above, in "
    "CoNLL-2012, GAP or JSON Lines, and press “Read them with both models”."
)
PRESS = "These texts have chains: press “Measure who is meant”."


@dataclass(frozen=True)
class Parts:
    """Components of the card."""

    pairs: gr.Button
    """Reads the bundled pairs with chains; the room connects it."""
    measure: gr.Button
    told: Note
    chart: Chart
    key: gr.State
    """Of the collection that was measured; empty for none."""


def build() -> Parts:
    """Lay out the card."""
    gr.Markdown(INTRO)
    with gr.Row():
        pairs = gr.Button("Read the bundled pairs with chains", elem_id="read-chains", scale=0, min_width=300)
        measure = gr.Button("Measure who is meant", elem_id="measure-chains", visible=False, scale=0, min_width=220)
    return Parts(pairs, measure, Note(NEEDED, elem_id="chains-told"), Chart(elem_id="chains-bars"), gr.State(""))


def wire(parts: Parts, collected: gr.State, view: gr.State) -> None:
    """Measure when asked, or at once what is bundled.

    Args:
        parts: Components of the card.
        collected: `Collected`: the texts.
        view: Which tab of the room is open.
    """
    filled = [parts.told, parts.chart, parts.key, parts.measure]
    on_card(parts.measure.click, measure, [collected], filled, parts.told)
    renewed = on(collected.change, renew, [collected, parts.key], [*filled, parts.pairs], **CLICK)
    for happens in (view.change, renewed.success):
        of_tab = [view, collected, parts.key]
        on_card(happens, lambda _, texts, __: measure(texts), of_tab, filled, parts.told, when=may_measure)


def n_chained(texts: Texts) -> int:
    """How many texts have a chain of two mentions."""
    return sum(text.document is not None and text.document.linked for text in texts)


def measure(collected: Collected | None) -> Iterator[Any]:
    """Both models, one after the other; each is shown as soon as it is there."""
    collected = models_of(collected_of(collected))
    opened = collected.opened()
    if not n_chained(opened.texts):
        raise SelectionError(NEEDED)
    models, count = list[ChainsModel](), len(collected.refs)
    for number, (side, ref) in enumerate(zip(SIDES, collected.refs, strict=True)):
        with progress.part(number / count, (number + 1) / count, side.upper()):
            found = corpora.statistics(opened, ref, collected.page, ["coreference"], too_long=collected.too_long)
            models.append(ChainsModel.of(side, found))
        more = gr.update(visible=number + 1 < count)
        yield told(models), coreference_bars(models), collected.key, more


def may_measure(view: str, collected: Collected | None, key: str) -> bool:
    """Whether it is measured without being asked: of what is bundled alone, which takes a moment."""
    return collected is not None and collected.key != key and by_itself(view, collected, CHAINS)


def renew(collected: Collected | None, key: str) -> Sequence[Any]:
    """Drop what was measured of other texts, and offer what these allow."""
    if collected is None or collected.key == key:
        return [gr.skip()] * 5
    chained = n_chained(collected.opened().texts) > 0
    return PRESS if chained else NEEDED, None, "", gr.update(visible=chained), gr.update(visible=not chained)


def told(models: Sequence[ChainsModel]) -> str:
    """What was read, and what could not be."""
    said = []
    for model in models:
        more = [f"{model.cut:,} of them cut"] * bool(model.cut)
        more += [f"{model.failed:,} without chains, or not to be read"] * bool(model.failed)
        more += [f"{model.found.left_out:,} mentions behind the end of a text"] * bool(model.found.left_out)
        said.append(f"{model.side.upper()}, {model.name}, read {', '.join([f'{model.n:,} texts', *more])}.")
    return " ".join(said)
