"""What a visitor chooses in the room *Many texts*: which texts, how many, and how they are read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from attnflow import limits
from attnflow.corpus.files import format_of
from attnflow.corpus.texts import BUNDLED, BUNDLED_TEXTS
from attnflow.errors import SelectionError
from attnflow.service.collections import Asked
from attnflow.service.offered import PREFIX, surveys
from attnflow.web.forms import choice, setting

GUESSED, NONE = "(guessed)", "(none)"
"""Of a column: the one that its name tells, or none."""
DATA_SETS = (*BUNDLED_TEXTS, "nyu-mll/glue", "stanfordnlp/sst2", "nyu-mll/multi_nli", "fancyzhx/ag_news")
DEFAULT_ROWS = 200
COLUMNS = {"column_a": "text_a", "column_b": "text_b", "column_label": "label"}
"""The box of each column that can be chosen."""
MOST_NAME = 200
"""Characters of a name of a data set, a column or the like that are read."""


def _source_box(value: str) -> gr.Dropdown:
    return gr.Dropdown(
        [*surveys.names(), *DATA_SETS],
        value=value,
        label="Texts",
        info="Bundled, or any data set of the Hub",
        allow_custom_value=True,
        elem_id="texts-source",
    )


def _number_box(value: int, label: str, elem_id: str, low: int, high: int) -> gr.Number:
    return gr.Number(
        value,
        label=label,
        precision=0,
        minimum=low,
        maximum=high,
        min_width=90,
        elem_id=elem_id,
        info=f"{low:,} to {high:,}",
    )


def _text_box(value: str, label: str, placeholder: str, elem_id: str) -> gr.Textbox:
    return gr.Textbox(value, label=label, placeholder=placeholder, elem_id=elem_id, min_width=140)


def _column_box(value: str, label: str, elem_id: str) -> gr.Dropdown:
    choices = column_choices(()) if value in (GUESSED, NONE) else column_choices([value])
    return gr.Dropdown(choices, value=value, label=label, allow_custom_value=True, elem_id=elem_id, min_width=140)


def column_choices(names: Any) -> list[str]:
    """What a box of a column offers."""
    return [GUESSED, *names, NONE]


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else None


@dataclass(frozen=True)
class Chosen:
    """Which texts, and how they are read."""

    source: str = setting(BUNDLED, _source_box, link="texts")
    rows: int = setting(
        DEFAULT_ROWS,
        partial(_number_box, label="How many", elem_id="texts-rows", low=1, high=limits.MAX_TEXTS),
        link="rows",
        read=_whole,
    )
    sent: str = setting(
        "", lambda sent: gr.Textbox(sent, label="File that was sent", visible="hidden", elem_id="texts-sent")
    )
    """What the server calls the file that `source` names, a space, and that name; the address does not tell it."""
    name: str = setting(
        "",
        partial(_text_box, label="Configuration", placeholder="the first", elem_id="texts-name"),
        link="config",
        more=True,
    )
    split: str = setting(
        "", partial(_text_box, label="Split", placeholder="validation", elem_id="texts-split"), link="split", more=True
    )
    revision: str = setting(
        "",
        partial(_text_box, label="Revision of the data set", placeholder="newest", elem_id="texts-revision"),
        link="texts_revision",
        more=True,
    )
    column_a: str = setting(
        GUESSED, partial(_column_box, label="First text", elem_id="texts-a"), link="column_a", more=True
    )
    column_b: str = setting(
        GUESSED, partial(_column_box, label="Second text", elem_id="texts-b"), link="column_b", more=True
    )
    column_label: str = setting(
        GUESSED, partial(_column_box, label="Label", elem_id="texts-label"), link="column_label", more=True
    )
    seed: int = setting(
        0,
        partial(_number_box, label="Seed", elem_id="texts-seed", low=0, high=10**6),
        link="seed",
        read=_whole,
        more=True,
    )
    too_long: str = choice(
        "cut",
        [("is cut", "cut"), ("is left out", "leave_out")],
        link="too_long",
        label="A text that is too long",
        elem_id="texts-too-long",
        more=True,
    )

    def asked(self) -> Asked:
        """Which texts these are.

        Raises:
            SelectionError: If a file is named that was not sent.
        """
        given = {field: getattr(self, box)[:MOST_NAME] for box, field in COLUMNS.items()}
        columns = tuple(
            (field, None if name == NONE else name) for field, name in given.items() if name and name != GUESSED
        )
        source = self.source.strip()[:MOST_NAME] or BUNDLED
        if source in BUNDLED_TEXTS:
            return Asked(source, None, None, None, columns, self.rows, self.seed)
        if source.startswith(PREFIX):
            return Asked(source)
        called, _, file = self.sent.partition(" ")
        if called and file.strip() == source:
            return Asked(columns=columns, rows=self.rows, seed=self.seed, sent=called)
        if "/" not in source and format_of(source):
            raise SelectionError(f"The server does not have {source} of yours; choose it again beside this box.")
        name, split, revision = (one.strip()[:MOST_NAME] or None for one in (self.name, self.split, self.revision))
        return Asked(source, name, split, revision, columns, self.rows, self.seed)
