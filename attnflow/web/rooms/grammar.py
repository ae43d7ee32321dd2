"""The tab *Grammar* of the room: which heads of both models follow which relations of a treebank."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import gradio as gr
from gradio.components import Component

from attnflow import progress
from attnflow.corpus.texts import CHAINS, TREEBANK
from attnflow.errors import SelectionError
from attnflow.service.grammar import grammar, n_trees
from attnflow.service.grammar_examples import grammar_examples
from attnflow.views.grammar_beside import NOTHING, Beside
from attnflow.views.grammar_heads import GrammarModel, best_heads, grammar_file
from attnflow.views.grammar_heads import grammar as figure
from attnflow.views.grammar_sentences import grammar_sentences
from attnflow.views.grammar_words import best_direction, overview
from attnflow.views.payloads import SIDES, GrammarSentences, OtherPair
from attnflow.web.endpoints.checks import whole_number
from attnflow.web.panels import GrammarExamples, GrammarHeads, GrammarTable, Note
from attnflow.web.rooms import grammar_beside, grammar_chains, grammar_probe
from attnflow.web.rooms.answers import pair_of
from attnflow.web.rooms.grammar_cell import At, Measured, by_itself, cell_of, model_at, on_page, said, shows
from attnflow.web.rooms.reading import Collected, collected_of, models_of
from attnflow.web.settings import Settings
from attnflow.web.shared import Page, Shown
from attnflow.web.verbs import Selection, find_selection
from attnflow.web.wiring import CLICK, on, on_card

TITLE = "Grammar"
INTRO = (
    "Some heads have learnt grammar. In a sentence whose dependency tree is known, each word but one has a *governor*: "
    "the noun of an article, the verb of a subject. Wherever a relation occurs, each head is asked for the governor: "
    "the word that it attends to most, or that attends to it most (Clark et al. 2019, 4.2). A head that is right more "
    "often than *always so many words ahead or back* follows that relation."
)
PRESS = "Not measured yet: press “Measure the heads”."
READ_FIRST = (
    "No texts have been read yet. This needs a treebank, sentences whose dependency trees are known: read the bundled "
    "ones, or choose a file of yours in CoNLL-U above and press “Read them with both models”."
)
NO_TREES = (
    "These texts have no dependency trees, so nobody knows which word is the governor. This needs a treebank: read the "
    "bundled sentences, or choose a file of yours in CoNLL-U above and press “Read them with both models”."
)
NO_CELL = (
    "Click a cell of the map or a row of the table: what that head does is told here, with sentences that show it."
)


@dataclass(frozen=True)
class Parts:
    """Components of the tab."""

    sentences: gr.Button
    """Reads the bundled treebank, where there is none yet; the room connects it, as all `readers`."""
    measure: gr.Button
    told: Note
    """What was measured, and its bar."""
    heads: GrammarHeads
    said: Note
    examples: GrammarExamples
    beside: grammar_beside.Parts
    table: GrammarTable
    at: gr.State
    """`At`, or None."""
    opened: gr.State
    """The row of the sentence that was opened last."""
    chains: grammar_chains.Parts
    probe: grammar_probe.Parts

    @property
    def readers(self) -> dict[str, gr.Button]:
        """What reads a bundled source, by its name."""
        return {TREEBANK: self.sentences, CHAINS: self.chains.pairs}


def build() -> Parts:
    """Lay out the tab."""
    gr.Markdown(INTRO)
    with gr.Row(elem_id="grammar-controls"):
        sentences = gr.Button(
            "Read the bundled sentences", variant="primary", elem_id="read-sentences", scale=0, min_width=260
        )
        measure = gr.Button(
            "Measure the heads", variant="primary", elem_id="measure-grammar", visible=False, scale=0, min_width=220
        )
    told = Note(READ_FIRST, elem_id="grammar-told")
    heads = GrammarHeads(elem_id="grammar-heads", chosen=None)
    said_ = Note(elem_id="grammar-said")
    examples = GrammarExamples(elem_id="grammar-examples")
    beside = grammar_beside.build()
    table = GrammarTable(elem_id="grammar-table", chosen=None, download=None)
    chains = grammar_chains.build()
    return Parts(
        sentences, measure, told, heads, said_, examples, beside, table, gr.State(None), gr.State(None), chains,
        grammar_probe.build(),
    )  # fmt: skip


def wire(parts: Parts, page: Page, collected: gr.State, view: gr.State, shown_in: Sequence[Component]) -> None:
    """Measure when asked, or at once what is bundled; follow the cell that is chosen, and open a sentence.

    Args:
        parts: Components of the tab.
        page: What is selected on the whole page, and how another pair is opened.
        collected: `Collected`: the texts.
        view: Which tab of the room is open.
        shown_in: The rooms, which of them is open, and the map of texts.
    """
    filled = [parts.told, page.grammar, parts.heads, parts.table, parts.measure]
    on_card(parts.measure.click, measure, [collected], filled, parts.told)
    renewed = on(
        collected.change,
        renew,
        [collected, page.grammar],
        [*filled, parts.at, parts.examples, parts.sentences],
        **CLICK,
    )
    on(page.grammar.change, told_of, [page.grammar, parts.at], parts.said, **CLICK)
    for happens in (view.change, renewed.success):
        of_tab = [view, collected, page.grammar]
        on_card(happens, lambda _, texts, __: measure(texts), of_tab, filled, parts.told, when=may_measure)
    map_: Any = parts.heads  # Gradio gives them the events that they name
    table: Any = parts.table
    on([map_.cell, table.cell], choose, [page.grammar], parts.at, **CLICK)
    page.select.on([map_.cell, table.cell], find_head, [page.grammar, page.settings])
    on(table.keep, keep, [page.grammar, parts.beside.beside], parts.table, **CLICK)
    grammar_beside.wire(parts.beside, page.grammar, collected, parts.table)
    chosen = [page.grammar, parts.at]
    on(parts.at.change, follow, chosen, [parts.said, parts.heads, parts.table], **CLICK)
    on_card(parts.at.change, show_sentences, [collected, *chosen], [parts.examples])
    doors: Any = parts.examples
    gone = on(
        doors.open, go_to_sentence, [collected, *chosen], [parts.opened, *shown_in, *page.selected.controls], **CLICK
    )
    grammar_chains.wire(parts.chains, collected, view)
    grammar_probe.wire(parts.probe, page, collected)
    page.analyse.on(gone.success, lambda shown, texts, row: find_sentence(texts, row), [collected, parts.opened])


def measure(collected: Collected | None) -> Iterator[Any]:
    """Both models, one after the other; each is shown as soon as it is there."""
    collected = models_of(collected_of(collected))
    opened = collected.opened()
    if not n_trees(opened.texts):
        raise SelectionError(NO_TREES)
    models, count = list[GrammarModel](), len(collected.refs)
    for number, (side, ref) in enumerate(zip(SIDES, collected.refs, strict=True)):
        with progress.part(number / count, (number + 1) / count, side.upper()):
            models.append(GrammarModel.of(side, grammar(opened, ref, collected.page, collected.too_long)))
        measured = Measured(collected.key, collected.refs, opened.texts.source, tuple(models))
        more = gr.update(visible=number + 1 < count)
        yield told(measured), measured, figure(measured.key, models), best_heads(measured.key, models), more


def may_measure(view: str, collected: Collected | None, measured: Measured | None) -> bool:
    """Whether the tab measures without being asked: of what is bundled alone, which takes a moment."""
    if collected is None or (measured is not None and measured.key == collected.key):
        return False
    return by_itself(view, collected, TREEBANK)


def renew(collected: Collected | None, measured: Measured | None) -> Sequence[Any]:
    """Drop what was measured of other texts, and offer what these allow."""
    if collected is None or (measured is not None and measured.key == collected.key):
        return [gr.skip()] * 8
    trees = n_trees(collected.opened().texts)
    ready, needed = gr.update(visible=trees > 0), gr.update(visible=trees == 0)
    return PRESS if trees else NO_TREES, None, None, None, ready, None, None, needed


def choose(measured: Measured | None, event: gr.EventData) -> Any:
    """Keep the cell that an event of the kind `payloads.GrammarCell` names."""
    at = None if measured is None else cell_of(measured, event)
    return gr.skip() if at is None else at


def keep(measured: Measured | None, beside: Beside = NOTHING) -> Any:
    """The table as a file."""
    return gr.skip() if measured is None else gr.update(download=grammar_file(measured.models, beside))


def find_head(
    shown: Shown | None, measured: Measured | None, settings: Settings, event: gr.EventData
) -> Selection | None:
    """The head of a cell, for the whole page; nothing while it shows no pair or other models."""
    if measured is None or not shows(shown, measured):
        return None
    at = cell_of(measured, event)
    return (
        None
        if at is None
        else find_selection(shown, settings, cast("Any", gr.EventData(None, {"head": at.head, "side": at.side})))
    )


def told_of(measured: Measured | None, at: At | None) -> str | None:
    """What the chosen head does, in words; what to do, while none is chosen."""
    if measured is None:
        return None
    return NO_CELL if at is None or at.key != measured.key else said(measured, at)


def follow(measured: Measured | None, at: At | None) -> tuple[str | None, Any, Any]:
    """What is told of the chosen cell, and the cell marked in map and table."""
    marked = gr.update(chosen=None if at is None else at.cell)
    return told_of(measured, at), marked, marked


def show_sentences(collected: Collected | None, measured: Measured | None, at: At | None) -> GrammarSentences | None:
    """Sentences on which the chosen head is right and wrong: some are read once more."""
    if measured is None or at is None or not measured.key == at.key == collected_of(collected).key:
        return cast("None", gr.skip())
    collected = collected_of(collected)
    ref, found = measured.refs[SIDES.index(at.side)], model_at(measured, at).found
    direction, _ = best_direction(found, at.relation, at.head)
    read = grammar_examples.choices(collected.opened(), ref, collected.page, at.relation, collected.too_long)
    chosen = read.of(at.head, direction)
    return grammar_sentences(at.cell, direction, read.trees, read.rows, read.words, chosen, read.n_with)


def go_to_sentence(collected: Collected | None, measured: Measured | None, at: At | None, event: gr.EventData) -> Any:
    """Switch to *One pair* with the head selected: the row, the rooms, their choice, the map, layer and head."""
    row = whole_number("row", getattr(event, "row", None))
    if measured is None or at is None:
        raise SelectionError("No head is chosen; click a cell of the map or a row of the table.")
    find_sentence(collected, row)
    layer, head = on_page(measured, at)
    layers = [(f"L{number + 1}", number) for number in range(measured.depth)]
    heads = [(f"H{number + 1}", number) for number in range(max(model.shape[1] for model in measured.models))]
    place = gr.update(choices=layers, value=layer), gr.update(choices=heads, value=head)
    return row, gr.Tabs(selected="pair"), "pair", gr.update(opened=row), *place


def find_sentence(collected: Collected | None, row: int | None) -> OtherPair:
    """The pair that a sentence is.

    Raises:
        SelectionError: If there is no such sentence, or it is too long for *One pair*.
    """
    return pair_of(collected_of(collected), row)


def told(measured: Measured) -> str:
    """What was read, what could not be, and what was found, in words."""
    said = []
    for model in measured.models:
        more = [f"{model.cut:,} of them cut"] * bool(model.cut)
        more += [f"{model.failed:,} without a tree, or not to be read"] * bool(model.failed)
        read = ", ".join([f"{model.n:,} sentences", *more])
        said.append(f"{overview(model.found, model.side.upper())} {model.name} read {read}.")
    return " ".join(said)
