"""The pane beside the tabs: the answer, what differs, and what is known of the selected word and head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from attnflow.errors import AttnflowError, GoneError
from attnflow.records.trace import Head
from attnflow.service.analyses.heads import root_shift
from attnflow.service.case import Case
from attnflow.service.workspace import workspace
from attnflow.views.answer import percent
from attnflow.views.details import SelectedHeadOf, details
from attnflow.views.payloads import Details
from attnflow.web.endpoints.answers import prediction
from attnflow.web.forms import Form
from attnflow.web.panels import AnswerPanel, DetailsPanel, Differences
from attnflow.web.settings import SelectedHead, Settings
from attnflow.web.shared import NO_HEADS, Page, Shown, cases_of, heads_of
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
    sources = [page.shown, page.selected, page.word, page.settings]
    changes = [one.change for one in [page.shown, page.word, *components([page.selected])]]
    on_card(changes, follow, sources, [parts.details])


def follow(shown: Shown | None, at: SelectedHead, word: int | None, settings: Settings) -> Iterator[Any]:
    """What is selected: at once what is known of it, then what changes without the head, which runs both models."""
    if shown is None:
        yield gr.skip()
        return
    cases = cases_of(shown)
    own = heads_of(*cases, at)
    flows = flows_at(*cases, settings)

    def known(*without: str | None) -> Details:
        return details(flows, word, (at.layer, at.head), _sides(cases, own, without))

    yield known(None, None)
    yield known(*(_without(*one) for one in zip(cases, own, strict=True)))


def _sides(
    cases: tuple[Case, Case], own: tuple[Head | None, Head | None], without: Sequence[str | None]
) -> list[SelectedHeadOf]:
    """The selected head in both models."""
    return [
        SelectedHeadOf(
            name=case.card.ref,
            tokens=case.trace.tokens,
            head=head,
            attention=None if head is None else case.trace.attention[head[0]],
            pruned=sorted(case.trace.pruned),
            without=told,
        )
        for case, head, told in zip(cases, own, without, strict=True)
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
    before, after = prediction(whole), prediction(gone)
    if not before or not after:
        return f"Without it, the embedding that is read moves by {percent(root_shift(whole, gone))} of its length."
    best = max(range(len(before)), key=lambda index: before[index]["score"])
    was, now = before[best], after[best]
    if was["probability"] is None or now["probability"] is None:
        return f"Without it, “{was['label']}” has a score of {now['score']:.3g}, with it {was['score']:.3g}."
    change = round(100 * (now["probability"] - was["probability"]), 1) + 0.0  # no −0.0
    return f"Without it, “{was['label']}” has {100 * now['probability']:.1f} % ({change:+.1f} points)."
