"""Shows how the texts of the room were learnt: the data map of a recorded training, joined to them by their names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import gradio as gr

from attnflow.corpus.texts import TRAINING
from attnflow.errors import SelectionError
from attnflow.service.collections import Page
from attnflow.service.recordings import BUNDLED, recordings
from attnflow.views.training import Training
from attnflow.web.endpoints.checks import whole_number
from attnflow.web.forms import Form, setting
from attnflow.web.rooms.chosen import MOST_NAME, Chosen
from attnflow.web.rooms.learnt import learnt
from attnflow.web.rooms.reading import Collected, Step, read
from attnflow.web.settings import Pair
from attnflow.web.shared import Shown

BUNDLED_ROWS = 2_000
"""All texts of the bundled recording."""
READ_FIRST = "Read the texts that this training was recorded on first; then they are joined by their names."


def _recording_box(value: str) -> gr.Dropdown:
    return gr.Dropdown(
        [*recordings.names()],
        value=value,
        label="Recorded training",
        info=f"{BUNDLED} brings its own texts",
        allow_custom_value=True,
        elem_id="training-recording",
        min_width=200,
    )


def _epochs_box(value: int) -> gr.Number:
    return gr.Number(
        value,
        label="First epochs",
        info="That count; 0 for all",
        precision=0,
        minimum=0,
        min_width=110,
        elem_id="training-epochs",
    )


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 4 else None


@dataclass(frozen=True)
class Learnt:
    """Which recorded training is shown."""

    recording: str = setting(BUNDLED, _recording_box, link="recording")
    first: int = setting(0, _epochs_box, link="first_epochs", read=_whole)

    @property
    def burn_out(self) -> int | None:
        """Of the first how many epochs the data map is; of all if None."""
        first = whole_number("First epochs", self.first)
        return first or None


@dataclass(frozen=True)
class Parts:
    """Components that show how texts were learnt."""

    learnt: Form[Learnt]
    show: gr.Button


def build() -> Parts:
    """Lay them out above the map."""
    with gr.Row(elem_id="texts-training"):
        form = Form(Learnt())
        form.place()
        show = gr.Button("How texts were learnt (data map)", size="sm", elem_id="show-training", min_width=220)
    return Parts(form, show)


def brings_texts(asked: Learnt, collected: Collected | None) -> bool:
    """Whether the texts of the recording are to be read first: those of the bundled one, unless they are shown."""
    return _name(asked) == BUNDLED and (collected is None or collected.asked.source != TRAINING)


def show(
    asked: Learnt, collected: Collected | None, pair: Pair, shown: Shown | None, page: Page, labels: list[tuple]
) -> Iterator[Step]:
    """Read the texts of the recording, if it is the bundled one, and join it to the texts that the room shows.

    Raises:
        SelectionError: If there is no such recording, it is of other texts, or none were read.
    """
    name = _name(asked)
    if brings_texts(asked, collected):
        recordings.map(name, asked.burn_out)  # what is wrong with it is told before anything is read
        chosen = Chosen(source=TRAINING, rows=BUNDLED_ROWS)
        for step in read(chosen, pair, shown, page, labels, asked.burn_out):
            known = step.collected and step.collected.training
            yield replace(step, status=told(known)) if known else step
        return
    if collected is None:
        raise SelectionError(READ_FIRST)
    joined = learnt(collected.opened().texts, name, asked.burn_out)
    collected = replace(collected, training=joined)
    yield Step(told(joined), False, collected, collected.payload(), more=True)


def told(joined: Training) -> str:
    """How the data map is shown, in a sentence."""
    counted, epochs = joined.part["counted"], len(joined.part["epochs"])
    of = f"the first {counted} of {epochs} epochs" if counted < epochs else f"{epochs} epochs"
    return f"The left plot is the data map over {of}; below the plots is how the training went."


def _name(asked: Learnt) -> str:
    return str(asked.recording).strip()[:MOST_NAME] or BUNDLED
