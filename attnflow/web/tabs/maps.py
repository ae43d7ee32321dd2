"""The big map of the tab *Heads*: token against token for the selected head of both models."""

from __future__ import annotations

from typing import Any

import gradio as gr

from attnflow.records.head_names import head_name
from attnflow.service import cases
from attnflow.views.heatmap import attention_heatmap
from attnflow.views.payloads import SIDES
from attnflow.web.endpoints.checks import whole_number
from attnflow.web.panels import AttentionMap
from attnflow.web.shared import Shown, heads_of, runs_of


def build() -> list[AttentionMap]:
    """Lay out the maps of both models."""
    gr.Markdown("The attention of the selected head: each row is a token that attends, each column one attended to.")
    with gr.Row():
        return [AttentionMap(elem_id=f"map-{side}", min_width=340) for side in "ab"]


def drawn(shown: Shown | None, layer: int, head: int) -> Any:
    """Both models' maps of a head, on one colour scale; None for a model that has no such head."""
    runs = runs_of(shown)
    own = heads_of(*runs, whole_number("layer", layer), whole_number("head", head))
    found = [None if at is None else cases.attention_map(run.trace, *at) for run, at in zip(runs, own, strict=True)]
    highest = max((float(values.max()) for values in found if values is not None), default=1.0)
    return tuple(
        None
        if at is None
        else attention_heatmap(
            values,
            run.trace.tokens,
            title=f"{run.card.ref} · {head_name(at)}{' · off' * (at in run.trace.pruned)}",
            model=side,
            highest=highest,
            start=run.trace.root,
        )
        for side, run, at, values in zip(SIDES, runs, own, found, strict=True)
    )
