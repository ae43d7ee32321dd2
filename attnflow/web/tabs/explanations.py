"""The tab *Saliency*: what each token has to do with a score, by every method, and which of them may be believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from attnflow.errors import AttnflowError
from attnflow.records.words import check_unit
from attnflow.service.analyses.saliency import PREDICTED, REPORT
from attnflow.service.case import Case
from attnflow.views.explanations import ExplainedModel, faithfulness_chart, rank_correlation_matrix, strips
from attnflow.views.payloads import SIDES, Side
from attnflow.web.endpoints.explanations import sum_note
from attnflow.web.panels import Chart, SaliencyStrips
from attnflow.web.shared import Page, Shown, cases_of
from attnflow.web.wiring import MODEL

TITLE = "Saliency"
HOW_TO_READ = (
    "What does each word have to do with the prediction? Blue words speak for the class, red ones against it; grey "
    "is for methods that tell only how much. The methods often disagree: the chart below removes the words that each "
    "of them names, and so measures which to believe for this very text."
)


@dataclass(frozen=True)
class Parts:
    """Components of the tab."""

    target: gr.Dropdown
    against: gr.Dropdown
    strips: SaliencyStrips
    faithful: Chart
    rank_correlations: list[Chart]


def build() -> Parts:
    """Lay out the tab."""
    gr.Markdown(HOW_TO_READ)
    with gr.Row():
        target = _choice("Explain the score of", "What each model predicts", "saliency-target")
        against = _choice("Contrast with", "Nothing", "saliency-against")
    words = SaliencyStrips(elem_id="saliency")
    faithful = Chart(elem_id="faithfulness")
    with gr.Row():
        correlations = [Chart(elem_id=f"saliency-agreement-{side}", min_width=320) for side in "ab"]
    return Parts(target, against, words, faithful, correlations)


def _choice(label: str, none: str, elem_id: str) -> gr.Dropdown:
    return gr.Dropdown(
        [(none, PREDICTED)],
        value=PREDICTED,
        label=label,
        info="A class; for a language model, type a word.",
        allow_custom_value=True,
        elem_id=elem_id,
        min_width=200,
    )


def wire(parts: Parts, page: Page) -> None:
    """Explain what is shown, and anew when the target or the unit changes."""
    outputs = [parts.target, parts.against, parts.strips, parts.faithful, *parts.rank_correlations]
    options = {**MODEL, "show_progress_on": parts.strips, "trigger_mode": "always_last"}
    page.when_open(TITLE, draw, [parts.target, parts.against, page.settings["unit"]], outputs, **options)


def draw(shown: Shown | None, target: str, against: str, unit: str) -> Any:
    """Values of the tab's components."""
    cases = cases_of(shown)
    labels = list(dict.fromkeys(label for case in cases for label in case.card.head.labels))
    lists_all = all(case.card.head.kind.endswith("classification") for case in cases if case.card.head.trained)
    chosen = ["" if lists_all and (one or "") not in labels else (one or "") for one in (target, against)]
    sides = [_explained(side, case, *chosen) for side, case in zip(SIDES, cases, strict=True)]
    notes = [{one.method.name: sum_note(one) for one in side.report.answers} if side.report else {} for side in sides]
    updates = [
        gr.update(choices=[(none, PREDICTED), *((label, label) for label in labels)], value=now)
        for none, now in zip(("What each model predicts", "Nothing"), chosen, strict=True)
    ]
    figure = strips(sides, check_unit(unit), notes)
    return *updates, figure, faithfulness_chart(sides), *(rank_correlation_matrix(side) for side in sides)


def _explained(side: Side, case: Case, target: str, against: str) -> ExplainedModel:
    """One model explained; where it cannot be, the reason stands in its place, and the other one is shown."""
    try:
        return ExplainedModel(side, case.card.ref, case.ask(REPORT, target=target, against=against))
    except AttnflowError as error:
        return ExplainedModel(side, case.card.ref, None, str(error))
