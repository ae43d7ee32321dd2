"""The tab *Saliency*: what each token has to do with a score, by every method, and which of them may be believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gradio as gr

from attnflow import progress
from attnflow.errors import AttnflowError, GoneError
from attnflow.methods.saliency.results import Report
from attnflow.records.words import check_unit
from attnflow.service.analyses.saliency import PREDICTED, REPORT
from attnflow.service.case import Case
from attnflow.views.explanations import ExplainedModel, faithfulness_chart, rank_correlation_matrix, strips
from attnflow.views.payloads import SIDES
from attnflow.web.arguments import came
from attnflow.web.endpoints.explanations import sum_note
from attnflow.web.forms import Form, setting
from attnflow.web.panels import Chart, SaliencyStrips
from attnflow.web.shared import Page, Shown, cases_of
from attnflow.web.working import parts, shower

TITLE = "Saliency"
HOW_TO_READ = (
    "What does each word have to do with the prediction? Blue words speak for what is predicted, red ones against it; "
    "grey is for methods that tell only how much. The methods often disagree: the chart below removes the words that "
    "each of them names, and so measures which to believe for this very text."
)

WAITING = "This model's turn comes when the other one is done."
WHICH = ("What each model predicts", "Nothing")
"""What the two choices are called while they are empty."""


def _choice(value: str, label: str, none: str, elem_id: str) -> gr.Dropdown:
    return gr.Dropdown(
        [(none, PREDICTED)],
        value=value,
        label=label,
        info="A class, or start or end of an answer; for a language model, type a word.",
        allow_custom_value=True,
        elem_id=elem_id,
        min_width=200,
    )


@dataclass(frozen=True)
class Explained:
    """What is explained: a class or predicted word, perhaps in contrast with another; empty for the predicted one."""

    target: str = setting(
        PREDICTED,
        partial(_choice, label="Explain the score of", none=WHICH[0], elem_id="saliency-target"),
        link="explain",
    )
    against: str = setting(
        PREDICTED, partial(_choice, label="Contrast with", none=WHICH[1], elem_id="saliency-against"), link="against"
    )


@dataclass(frozen=True)
class Parts:
    """Components of the tab."""

    explained: Form[Explained]
    unknown: gr.Markdown
    """Says which class there is not."""
    strips: SaliencyStrips
    faithful: Chart
    rank_correlations: list[Chart]


def build() -> Parts:
    """Lay out the tab."""
    gr.Markdown(HOW_TO_READ)
    with gr.Row():
        explained = Form(Explained())
        explained.place()
    unknown = gr.Markdown(elem_id="saliency-unknown", visible=False)
    words = SaliencyStrips(elem_id="saliency", lit=None)
    faithful = Chart(elem_id="faithfulness")
    correlations = [Chart(elem_id=f"saliency-agreement-{side}") for side in "ab"]
    return Parts(explained, unknown, words, faithful, correlations)


def wire(tab: Parts, page: Page) -> None:
    """Explain what is shown, and anew when the target or the unit changes."""
    outputs = [*tab.explained.controls, tab.unknown, tab.strips, tab.faithful, *tab.rank_correlations]
    filled = page.when_open(TITLE, draw, [tab.explained, page.settings["unit"]], outputs)
    page.compare.on(filled.success, lambda shown: shown)


def draw(shown: Shown | None, explained: Explained, unit: str) -> Any:
    """Values of the tab's components; method after method while they are computed."""
    cases = cases_of(shown)
    labels = list(dict.fromkeys(label for case in cases for label in case.card.head.labels))
    lists_all = all(not case.card.head.kind.endswith("-lm") for case in cases if case.card.head.trained)
    wanted = explained.target, explained.against
    unknown = [one for one in wanted if lists_all and one and one not in labels]
    target, against = (PREDICTED if one in unknown else one for one in wanted)
    updates = [
        gr.update(choices=[(none, PREDICTED), *((label, label) for label in labels)], value=now)
        for none, now in zip(WHICH, wanted, strict=True)
    ]
    absent = " and ".join(map(came, unknown))
    told = f"No model here has a class {absent}, so it is left aside; choose one from the list." if unknown else ""
    show = shower()
    sides = [
        ExplainedModel(side, case.card.ref, None, WAITING, case.card.head.kind)
        for side, case in zip(SIDES, cases, strict=True)
    ]
    steps = parts(cases, REPORT, target=target, against=against)
    for number, (case, part) in enumerate(zip(cases, steps, strict=True)):

        def so_far(report: Report, number: int = number) -> None:
            known = [*sides[:number], replace(sides[number], report=report, problem=""), *sides[number + 1 :]]
            # Choices stay open while somebody chooses.
            show(lambda: (*[gr.skip()] * len(updates), gr.update(value=told, visible=bool(told)), *_drawn(known, unit)))

        with part, progress.taking(Report, so_far):
            sides[number] = _explained(sides[number], case, target, against)
    return *updates, gr.update(value=told, visible=bool(told)), *_drawn(sides, unit)


def _drawn(sides: Sequence[ExplainedModel], unit: str) -> tuple[Any, ...]:
    """Strips and charts of what is known of both models."""
    notes = [{one.method.name: sum_note(one) for one in side.report.answers} if side.report else {} for side in sides]
    return (
        strips(sides, check_unit(unit), notes),
        faithfulness_chart(sides),
        *(rank_correlation_matrix(side) for side in sides),
    )


def _explained(side: ExplainedModel, case: Case, target: str, against: str) -> ExplainedModel:
    """One model explained; where it cannot be, the reason stands in its place, and the other one is shown."""
    try:
        return replace(side, report=case.ask(REPORT, target=target, against=against), problem="")
    except GoneError:
        raise
    except AttnflowError as error:
        return replace(side, problem=str(error))
