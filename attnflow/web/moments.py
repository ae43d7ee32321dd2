"""The time axis: checkpoints of the training that each model comes from, on a slider above the tabs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

import gradio as gr
from gradio.components import Component

from attnflow.checkpoints.moments import Moment
from attnflow.errors import AttnflowError
from attnflow.service import own_models, visitors
from attnflow.service.offered import models
from attnflow.views.payloads import SIDES, ModelMoments, Side, TrainingMoment
from attnflow.web import model_box
from attnflow.web.panels import Moments
from attnflow.web.shared import Page, Shown
from attnflow.web.wiring import CLICK, TYPING, on

EVERY = 5.0
"""Seconds after which a training that goes on is looked at again."""


def wire(panel: Moments, page: Page, boxes: Sequence[Component], recent: gr.BrowserState) -> None:
    """Follow what is shown; and look for new checkpoints where the operator offers some."""
    known = gr.State(None)  # what is known of both, as no browser can tell it
    on(page.shown.change, follow, [page.shown, known], [panel, known], **CLICK)
    if models.any:
        clock = gr.Timer(EVERY)
        on(clock.tick, follow, [page.shown, known], [panel, known], **TYPING)
        clock.tick(model_box.offer, recent, list(boxes), **TYPING)


def follow(shown: Shown | None, known: Sequence[ModelMoments] | None) -> Any:
    """The trainings that both models come from; those on the Hub are asked for once, also where there are none.

    Returns:
        What the panel shows, and what is known.
    """
    if shown is None:
        return gr.skip(), gr.skip()
    return told_anew(trainings((shown.a.ref, shown.b.ref), known), known)


def told_anew(found: list[ModelMoments], known: Sequence[ModelMoments] | None) -> Any:
    """What the sliders show, those trainings that have moments, and what is known; neither if nothing is new."""
    return (gr.skip(), gr.skip()) if found == known else ([one for one in found if one["moments"]], found)


def trainings(refs: Sequence[str], known: Sequence[ModelMoments] | None) -> list[ModelMoments]:
    """The trainings that models come from; those on the Hub are asked for once, also where there are none.

    Args:
        refs: With the very commits, of A and of B.
        known: What was found before.
    """
    before = {one["name"]: one["moments"] for one in known or []}
    return [_of(side, ref, before) for side, ref in zip(SIDES, refs, strict=False)]


def _of(side: Side, ref: str, before: Mapping[str, list[TrainingMoment]]) -> ModelMoments:
    """The training of one model, without moments where no other checkpoint of it is known."""
    here = own_models.own(ref)
    name, at = here or ref.split("@")
    moments = before.get(name) if here is None else None
    if moments is None:
        moments = [cast("TrainingMoment", asdict(one)) for one in _known(name)]
    marks = [one["revision"] if here is not None else one["commit"] for one in moments]
    place = marks.index(at or "") if (at or "") in marks else None
    return {"side": side, "name": name, "moments": moments, "at": place}


def _known(name: str) -> Sequence[Moment]:
    try:
        return own_models.moments_of(name, visitors.own_token())
    except AttnflowError:  # that the checkpoint is gone is told by whoever needs it
        return ()
