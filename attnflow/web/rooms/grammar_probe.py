"""The card *Probe* of the tab *Grammar*: how much of the trees is in the attention of all heads at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from attnflow import limits, progress
from attnflow.corpus.probe_result import AttentionProbe
from attnflow.errors import SelectionError
from attnflow.records.trees import Sentence
from attnflow.service.collections import Opened
from attnflow.service.grammar import n_trees
from attnflow.service.probes import OFFERED, probes
from attnflow.views.payloads import SIDES, ParsedTrees, Side
from attnflow.views.probe_bars import CONTROL, ProbeModel, probe_bars, probe_curves
from attnflow.views.probe_trees import probe_trees
from attnflow.web import arguments
from attnflow.web.panels import Chart, Note, ProbeTrees
from attnflow.web.rooms.reading import Collected, collected_of, models_of
from attnflow.web.shared import Page, Shown
from attnflow.web.wiring import CLICK, on, on_card

INTRO = (
    "### Probe\n"
    "How much grammar is in all heads together? A small classifier, the *probe*, learns to find the governor of each "
    "word from nothing but the model's attention, which stays as it is; then it is scored on sentences that it has not "
    "seen (Clark et al. 2019, section 5). A score alone says little, so it stands beside what needs no such model."
)
NEEDED = (
    "This needs a treebank of at least 50 sentences: press “Read the bundled sentences” at the top of this tab, or "
    "choose a file of yours in CoNLL-U above and press “Read them with both models”."
)
PRESS = "These texts have trees: press “Train the probes”. That takes about half a minute for the bundled sentences."
TRAIN_FIRST = "No probe has been trained on these texts yet; press “Train the probes”."
KINDS = [("attention", OFFERED[0]), ("attention and words", OFFERED[1])]
KIND_INFO = "attention: all heads, the same weights for every word · with words: weights that depend on the two words"


@dataclass(frozen=True)
class Trained:
    """Which probes were trained last."""

    key: str
    """Of the collection."""
    kind: str


@dataclass(frozen=True)
class Parts:
    """Components of the card."""

    kind: gr.Radio
    train: gr.Button
    told: Note
    bars: Chart
    curves: Chart
    sentence: gr.Textbox
    parse: gr.Button
    trees: ProbeTrees
    trained: gr.State
    """`Trained`, or None."""
    offered: gr.State
    """The sentence that the box holds as long as nobody writes another one."""


def build() -> Parts:
    """Lay out the card."""
    gr.Markdown(INTRO)
    with gr.Row(elem_id="probe-controls"):
        kind = gr.Radio(
            KINDS, value=OFFERED[0], label="The probe sees", info=KIND_INFO, elem_id="probe-kind", visible=False
        )
        train = gr.Button("Train the probes", elem_id="train-probes", visible=False, scale=0, min_width=220)
    told = Note(NEEDED, elem_id="probe-told")
    bars = Chart(elem_id="probe-bars")
    curves = Chart(elem_id="probe-curves")
    with gr.Row():
        sentence = gr.Textbox(
            label="A sentence to parse with the probes",
            elem_id="probe-sentence",
            max_length=limits.MAX_CHARACTERS,
            visible=False,
            min_width=260,
        )
        parse = gr.Button("Parse it", elem_id="probe-parse", visible=False, scale=0, min_width=120)
    trees = ProbeTrees(elem_id="probe-trees")
    return Parts(kind, train, told, bars, curves, sentence, parse, trees, gr.State(None), gr.State(""))


def wire(parts: Parts, page: Page, collected: gr.State) -> None:
    """Train when asked, and parse when asked and after training.

    Args:
        parts: Components of the card.
        page: Whose first sentence is offered.
        collected: `Collected`: the texts.
    """
    shown = [parts.told, parts.bars, parts.curves, parts.trained, parts.sentence, parts.parse]
    on_card(parts.train.click, train, [collected, parts.kind], shown, parts.told)
    on(
        collected.change,
        renew,
        [collected, parts.trained],
        [*shown, parts.trees, parts.kind, parts.train],
        **CLICK,
    )
    offered = [parts.sentence, parts.offered]
    on(page.shown.change, offer, [page.shown, *offered], offered, **CLICK)
    asked = [collected, parts.trained, parts.sentence]
    on_card([parts.parse.click, parts.sentence.submit], parse, asked, [parts.trees])
    on_card(parts.trained.change, parse, asked, [parts.trees], when=may_parse)


def train(collected: Collected | None, kind: Any) -> Iterator[Any]:
    """The probes of both models, one after the other; each is shown as soon as it is there."""
    collected = models_of(collected_of(collected))
    opened = collected.opened()
    if not n_trees(opened.texts):
        raise SelectionError(NEEDED)
    models, count = list[ProbeModel](), len(collected.refs)
    for number, (side, ref) in enumerate(zip(SIDES, collected.refs, strict=True)):
        with progress.part(number / count, (number + 1) / count, side.upper()):
            models.append(probe_model(side, probes.probe(opened, ref, collected.page, kind)))
        over = number + 1 == count
        trained = Trained(collected.key, models[0].kind) if over else gr.skip()
        ready = gr.update(visible=True) if over else gr.skip()
        yield told(models), probe_bars(models), probe_curves(models), trained, ready, ready


def probe_model(side: Side, found: AttentionProbe) -> ProbeModel:
    """What is shown of a trained probe."""
    beside = [(name, share) for name, share in found.table() if name not in (found.settings.kind, CONTROL)]
    return ProbeModel(
        side,
        found.settings.model,
        found.settings.kind,
        found.found,
        (*reversed(beside), (CONTROL, found.control)),
        found.offset,
        found.sentences,
        len(found.failed),
        found.curve,
    )


def parse(collected: Collected | None, trained: Trained | None, sentence: Any) -> ParsedTrees:
    """The trees that both probes read out of a sentence."""
    collected = models_of(collected_of(collected))
    if trained is None or trained.key != collected.key:
        raise SelectionError(TRAIN_FIRST)
    text = arguments.checked("sentence", sentence, str).strip()
    if not text:
        raise SelectionError("The box holds no sentence; write one, and press “Parse it”.")
    opened = collected.opened()
    of_treebank, found = known(opened, text), []
    for number, (side, ref) in enumerate(zip(SIDES, collected.refs, strict=True)):
        with progress.part(number / 2, (number + 1) / 2, side.upper()):
            probe = probes.probe(opened, ref, collected.page, trained.kind)  # recalled, unless it was dropped
            found.append((side, probe.settings.model, probes.parse(probe, ref, of_treebank or text)))
    return probe_trees(found, trained.kind)


def known(opened: Opened, text: str) -> Sentence | None:
    """The sentence of a treebank that reads like this."""
    return next((one.tree for one in opened.texts if one.tree is not None and one.tree.text.strip() == text), None)


def may_parse(collected: Collected | None, trained: Trained | None, sentence: Any) -> bool:
    """Whether a sentence is parsed without being asked for: once probes are trained, if there is one."""
    there = collected is not None and trained is not None and trained.key == collected.key
    return there and isinstance(sentence, str) and bool(sentence.strip())


def offer(shown: Shown | None, sentence: Any, offered: str) -> tuple[Any, Any]:
    """The first sentence of the pair, unless somebody wrote another one."""
    if shown is None or sentence not in (None, "", offered) or shown.text_a == offered:
        return gr.skip(), gr.skip()
    return shown.text_a, shown.text_a


def renew(collected: Collected | None, trained: Trained | None) -> Sequence[Any]:
    """Drop what was trained on other texts, and offer what these allow."""
    if collected is None or (trained is not None and trained.key == collected.key):
        return [gr.skip()] * 9
    trees = n_trees(collected.opened().texts) > 0
    there, gone = gr.update(visible=trees), gr.update(visible=False)
    return PRESS if trees else NEEDED, None, None, None, gone, gone, None, there, there


def told(models: Sequence[ProbeModel]) -> str:
    """What was trained, and what could not be read."""
    said = []
    for model in models:
        learnt, stopped, scored = model.sentences
        more = f"; {model.failed:,} sentences could not be read" if model.failed else ""
        said.append(
            f"{model.side.upper()}, {model.name}: learnt from {learnt:,} sentences, stopped by {stopped:,}, scored on "
            f"{scored:,}{more}."
        )
    return " ".join(said)
