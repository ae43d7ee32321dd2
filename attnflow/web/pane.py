"""The pane beside the tabs: the answer, what differs, and what is known of the selected word and head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from attnflow.corpus.texts import TREEBANK
from attnflow.errors import AttnflowError, GoneError
from attnflow.records.shares import percent
from attnflow.records.trace import Head
from attnflow.records.words import quoted
from attnflow.service.analyses.heads import root_shift
from attnflow.service.case import Case
from attnflow.service.grammar import OF_TREES, bundled_grammar
from attnflow.service.workspace import workspace
from attnflow.views.details import SelectedHeadOf, details
from attnflow.views.grammar_words import known_of
from attnflow.views.payloads import Details
from attnflow.web.endpoints.answers import before_and_after, predicted
from attnflow.web.forms import Form
from attnflow.web.panels import AnswerPanel, DetailsPanel, Differences
from attnflow.web.rooms.grammar_cell import Measured
from attnflow.web.settings import SelectedHead, Settings
from attnflow.web.shared import NO_HEADS, Page, Shown, absent, cases_of, heads_of
from attnflow.web.tabs.flow import flows_at
from attnflow.web.wiring import components, on_card


@dataclass(frozen=True)
class Parts:
    """Components of the pane."""

    story: gr.Markdown
    answer: AnswerPanel
    differences: Differences
    selected: Form[SelectedHead]
    details: DetailsPanel
    pruned: gr.Markdown
    restore: gr.Button
    like_this: gr.Button
    """Finds texts like the pair in the room *Many texts*, which connects it."""


def build() -> Parts:
    """Lay out the pane."""
    with gr.Column(elem_id="answers"):  # on a phone it stands above the tabs, the rest of the pane below them
        answer = AnswerPanel(elem_id="answer")
        story = gr.Markdown(elem_id="story")
        differences = Differences(elem_id="differences", selected=None)
    with gr.Column(elem_id="details"):
        with gr.Row(elem_id="selected-head"):
            selected = Form(SelectedHead())
            selected.place()
        known = DetailsPanel(elem_id="known")
        like_this = gr.Button("Find texts like this", elem_id="like-this", size="sm")
        pruned = gr.Markdown(elem_id="switched-off", visible=False)
        restore = gr.Button("Switch all heads on", elem_id="restore-heads", size="sm", visible=False)
    return Parts(story, answer, differences, selected, known, pruned, restore, like_this)


def wire(parts: Parts, page: Page) -> None:
    """Follow the selection, and switch heads on again."""
    page.prune.on(parts.restore.click, lambda shown: NO_HEADS)
    sources = [page.shown, page.selected, page.word, page.settings, page.grammar]
    changes = [one.change for one in [page.shown, page.word, page.grammar, *components([page.selected])]]
    on_card(changes, follow, sources, [parts.details])


def follow(
    shown: Shown | None, at: SelectedHead, word: int | None, settings: Settings, measured: Measured | None = None
) -> Iterator[Any]:
    """What is selected: at once what is known of it, then what changes without the head, which runs both models."""
    if shown is None:
        yield gr.skip()
        return
    cases = cases_of(shown)
    own = heads_of(*cases, at)
    flows = flows_at(*cases, settings)
    follows = [_measured(case, head, measured) for case, head in zip(cases, own, strict=True)]

    def known(*without: str | None) -> Details:
        return details(flows, word, (at.layer, at.head), _sides(cases, own, at, without, follows))

    yield known(None, None)
    told = [_without(*one) for one in zip(cases, own, strict=True)]
    follows = [one or _bundled(case, head) for one, case, head in zip(follows, cases, own, strict=True)]
    yield known(*told)


def _measured(case: Case, head: Head | None, measured: Measured | None) -> str:
    """Which relations a head follows in the treebank that was measured on this page."""
    found = None if measured is None else measured.of(case)
    return "" if found is None or head is None or measured is None else known_of(found, head, measured.source)


def _bundled(case: Case, head: Head | None) -> str:
    """Which it follows in the bundled sentences, of a bundled model."""
    found = bundled_grammar(case.card.pinned)
    return "" if found is None or head is None else known_of(found[OF_TREES], head, TREEBANK)


def _sides(
    cases: tuple[Case, Case],
    own: tuple[Head | None, Head | None],
    at: SelectedHead,
    without: Sequence[str | None],
    follows: Sequence[str],
) -> list[SelectedHeadOf]:
    """The selected head in both models."""
    return [
        SelectedHeadOf(
            name=case.card.ref,
            tokens=case.trace.tokens,
            head=head,
            absent="" if head else f"{absent(case, cases, at)}.",
            attention=None if head is None else case.trace.paid[head[0]],
            pruned=sorted(case.trace.pruned),
            without=told,
            grammar=grammar,
        )
        for case, head, told, grammar in zip(cases, own, without, follows, strict=True)
    ]


def _without(case: Case, head: Head | None) -> str:
    """What removing a head, and only this one more, changes in a model; of one that is off, what it changed.

    Where that cannot be measured, the reason.
    """
    if head is None:
        return ""
    try:
        return _changed_without(case, head)
    except GoneError:
        raise
    except AttnflowError as error:
        return str(error)


def _changed_without(case: Case, head: Head) -> str:
    off = head in case.trace.pruned
    whole = workspace.without(case, sorted(case.trace.pruned - {head})) if off else case
    gone = case if off else workspace.without(case, sorted(case.trace.pruned | {head}))
    before, after = predicted(whole), predicted(gone)
    if before.decided is None or after.decided is None:
        return f"Without it, the embedding that is read moves by {percent(root_shift(whole, gone))} of its length."
    both = before_and_after(whole, gone)
    was, now = max(both, key=lambda pair: pair[0]["score"], default=(before.classes[0], None))
    if now is None:  # of words only the likeliest are known
        other, own = after.decided, before.decided
        return f"Without it, it decides for {other.what} ({other.sure}), with it for {own.what} ({own.sure})."
    if was["probability"] is None or now["probability"] is None:
        return f"Without it, {quoted(was['label'])} has a score of {now['score']:.3g}, with it {was['score']:.3g}."
    change = round(100 * (now["probability"] - was["probability"]), 1) + 0.0  # no −0.0
    moved = f"{change:+.1f} points" if change else "less than 0.1 points of change"
    return f"Without it, {quoted(was['label'])} has {percent(now['probability'], 1)} ({moved})."
