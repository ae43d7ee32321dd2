"""The big map of the tab *Heads*: token against token for the selected head of both models."""

from __future__ import annotations

from typing import Any

import gradio as gr

from attnflow.records.head_names import head_name
from attnflow.records.root import tokens_of
from attnflow.views.heatmap import attention_heatmap, no_heatmap
from attnflow.views.payloads import SIDES
from attnflow.web.panels import AttentionMap
from attnflow.web.settings import SelectedHead
from attnflow.web.shared import Shown, absent, cases_of, heads_of


def build() -> list[AttentionMap]:
    """Lay out the maps of both models."""
    gr.Markdown("The attention of the selected head: each row is a token that attends, each column one attended to.")
    with gr.Row():
        return [AttentionMap(lit=None, elem_id=f"map-{side}", min_width=340) for side in "ab"]


def draw(shown: Shown | None, at: SelectedHead) -> Any:
    """Both models' maps of a head, on one colour scale; a sentence for a model that has no such head."""
    cases = cases_of(shown)
    own = heads_of(*cases, at)
    found = [None if head is None else case.trace.paid[head] for case, head in zip(cases, own, strict=True)]
    highest = max((float(values.max()) for values in found if values is not None), default=1.0)
    return tuple(
        no_heatmap(f"{absent(case, cases, at)}.", side)
        if head is None or values is None
        else attention_heatmap(
            values,
            case.trace.tokens,
            title=f"{case.card.ref} · {head_name(head)}{' · off' * (head in case.trace.pruned)}",
            model=side,
            highest=highest,
            start=tokens_of(case.trace.root)[0],
        )
        for side, case, head, values in zip(SIDES, cases, own, found, strict=True)
    )
