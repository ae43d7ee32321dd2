"""The time axis over many texts: the room is read by another moment of the training that a model comes from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from attnflow.errors import SelectionError
from attnflow.progress import part, tell
from attnflow.records.survey import SurveySettings
from attnflow.service import own_models
from attnflow.service.case import ModelCard, open_checkpoint
from attnflow.views.payloads import SIDES, ModelMoments, OtherPair, Side
from attnflow.web import arguments, moments
from attnflow.web.model_box import full_ref
from attnflow.web.rooms.reading import Collected, Step, collected_of, key_of, models_of
from attnflow.web.settings import Pair
from attnflow.web.shared import Shown

_READING = 0.95
"""About the share of the work that is not comparing."""
_Way = tuple[SurveySettings, ...]
"""Moments by which one came to one of them, it last."""


@dataclass(frozen=True)
class AskedMoment:
    """Another moment of the training of a model."""

    side: Side
    revision: str
    """Empty for the end."""
    label: str
    at: float
    """When it was asked for, in seconds: the same can be asked for again."""


def ask(known: list[ModelMoments] | None, event: gr.EventData) -> AskedMoment:
    """What an event of the kind `payloads.ReadMoment` asks for.

    Raises:
        SelectionError: If it names no model, or no revision.
    """
    side, revision = getattr(event, "side", None), getattr(event, "revision", None)
    if side not in SIDES:
        raise SelectionError(f"side is {arguments.came(side)}; give 'a' or 'b'.")
    revision = str(arguments.checked("revision", revision, str))
    its = [one for model in known or () if model["side"] == side for one in model["moments"]]
    labels = {one["revision"]: one["label"] for one in its}
    return AskedMoment(SIDES[SIDES.index(side)], revision, labels.get(revision, revision), time.time())


def follow(collected: Collected | None, known: list[ModelMoments] | None) -> Any:
    """The trainings that the models of the room come from: for the sliders, and to be known the next time."""
    if collected is None:
        return gr.skip(), gr.skip()
    return moments.told_anew(moments.trainings(collected.refs, known), known)


def read(asked: AskedMoment, collected: Collected | None) -> Iterator[Step]:
    """Let one model read the texts of the room as it was at another moment; all else stays as it is.

    Raises:
        AttnflowError: If no texts were read, or there is no such moment, or it cannot be read.
    """
    before = models_of(collected_of(collected))
    number, side = SIDES.index(asked.side), asked.side.upper()
    name = training_of(before.refs[number])
    ref = f"{name}@{asked.revision}" if asked.revision else name
    yield Step(f"{side} reads the texts as it was at {asked.label} …")
    card = ModelCard.of(open_checkpoint(ref))
    named = list(before.named)
    named[2 * number : 2 * number + 2] = training_of(before.refs[number]), asked.revision
    now = replace(
        before,
        refs=tuple(card.pinned if place == number else one for place, one in enumerate(before.refs)),
        named=(named[0], named[1], named[2], named[3]),
        extras=tuple(one for one in before.extras if one.side != asked.side),
    )
    with part(0, _READING, side):
        surveys = now.surveys()
    tell("Comparing", _READING)
    ways = list(before.ways)
    known = ways[number] or ((before.survey(asked.side).settings,),)
    ways[number] = _with(known, surveys[number].settings)
    now = replace(now, key=key_of(surveys), ways=tuple(ways))
    yield Step(f"{side} is shown as it was at {asked.label}.", False, now, now.payload(surveys), more=True)


def _with(ways: tuple[_Way, ...], to: SurveySettings) -> tuple[_Way, ...]:
    """The ways to all moments that were shown, now this; one that was shown before keeps its own, and so its layout."""
    now = next((way for way in ways if way[-1] == to), (*ways[-1], to))
    return *(way for way in ways if way != now), now


def training_of(ref: str) -> str:
    """The name of the training that a checkpoint is a moment of."""
    here = own_models.own(ref)
    return ref.split("@")[0] if here is None else here[0]


def boxes(collected: Collected | None) -> list[Any]:
    """Values of the boxes of models and revisions in the sidebar, which follow what the room shows."""
    return [gr.skip()] * 4 if collected is None else list(collected.named)


def behind(shown: Shown | None, collected: Collected | None, pair: Pair) -> bool:
    """Whether *One pair*, which is opened, shows other moments than this room, and its boxes these.

    Args:
        shown: What *One pair* shows.
        collected: What this room shows.
        pair: What the boxes hold.
    """
    if shown is None or collected is None or not any(collected.ways):
        return False
    named = collected.named
    asked = full_ref(named[0], named[1]), full_ref(named[2], named[3])
    return pair.refs == asked and (shown.a.ref, shown.b.ref) != collected.refs


def same_pair(shown: Shown | None) -> OtherPair:
    """Nothing of the pair is another, but it is to be analysed."""
    return {}
