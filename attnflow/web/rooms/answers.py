"""What the map of texts asks of Python: layouts, rows, words, files, and to open a text in *One pair*.

Private events still answer direct requests, so everything they are sent is checked like input of the API. What is about
another collection than the one that is shown is an event of before, and left alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, cast, get_args

import gradio as gr

from attnflow import limits
from attnflow.corpus.rows_file import parquet_bytes
from attnflow.errors import SelectionError
from attnflow.service.collections import Of, collections, methods
from attnflow.views.collected import MOST_ROWS, found_answer, layout_answer, rows_answer
from attnflow.views.collected_files import binary_file, csv_file, names_file, table_of, told_settings, unpacked_rows
from attnflow.views.collection import LayoutOf, RowsOf, Search, Unlaid
from attnflow.views.payloads import OtherPair
from attnflow.web import arguments
from attnflow.web.answering import Told, one_sentence
from attnflow.web.endpoints.checks import whole_number
from attnflow.web.rooms.reading import Collected

MOST_WORDS = 500
"""Characters of words that are searched for."""
MOST_TOLD = 5_000
"""Characters of filters in words."""


@dataclass(frozen=True)
class Slice:
    """The rows that filters and selection leave."""

    key: str
    rows: tuple[int, ...]
    told: str


def layout(collected: Collected | None, event: gr.EventData) -> Any:
    """Where the points of one plot lie."""
    if collected is None or not _is_about(collected, event):
        return gr.skip()
    plot, side, of, method = (getattr(event, name, None) for name in ("plot", "side", "of", "method"))
    if plot not in (0, 1) or isinstance(plot, bool) or side not in ("a", "b"):
        raise SelectionError(
            f"plot is {arguments.came(plot)} and side {arguments.came(side)}; give 0 or 1, and 'a' or 'b'."
        )
    if of not in get_args(Of) or method not in methods():
        raise SelectionError(f"There is no layout of {arguments.came(of)} by {arguments.came(method)}; choose another.")
    layer = whole_number("layer", getattr(event, "layer", None))
    asked = cast(
        "LayoutOf", {"key": collected.key, "plot": int(plot), "side": side, "of": of, "layer": layer, "method": method}
    )
    try:
        with one_sentence():
            opened, survey = collected.opened(), collected.survey(side)
            beside = collected.survey("a") if side == "b" else None
            found = collections.layout(
                opened,
                survey,
                cast("Of", of),
                layer,
                method,
                after=collected.moments_before(side),
                beside=beside,
                beside_after=collected.moments_before("a"),
            )
    except Told as error:  # told in the plot that waits
        unlaid: Unlaid = {**asked, "why": str(error.message), "at": time.time()}
        return gr.update(unlaid=unlaid)
    return gr.update(layout=layout_answer(asked, found))


def rows(collected: Collected | None, event: gr.EventData) -> Any:
    """The texts of some rows."""
    if collected is None or not _is_about(collected, event):
        return gr.skip()
    wanted = getattr(event, "rows", None)
    if not isinstance(wanted, list) or len(wanted) > MOST_ROWS:
        raise SelectionError(f"rows is {arguments.came(wanted)}; give a list of at most {MOST_ROWS} rows.")
    texts = collected.opened().texts
    asked: RowsOf = {"key": collected.key, "rows": [_row(row, len(texts)) for row in wanted]}
    return gr.update(rows=rows_answer(asked, texts))


def search(collected: Collected | None, event: gr.EventData) -> Any:
    """Which texts hold some words."""
    if collected is None or not _is_about(collected, event):
        return gr.skip()
    asked: Search = {"key": collected.key, "text": _text("text", getattr(event, "text", None), MOST_WORDS)}
    return gr.update(found=found_answer(asked, collected.opened().texts))


def keep(collected: Collected | None, event: gr.EventData) -> Any:
    """Some rows as a file."""
    if collected is None or not _is_about(collected, event):
        return gr.skip()
    kind = getattr(event, "kind", None)
    if kind not in ("csv", "parquet", "json"):
        raise SelectionError(f"kind is {arguments.came(kind)}; give 'csv', 'parquet' or 'json'.")
    payload, texts = collected.payload(), collected.opened().texts
    kept = _rows_of(event, len(texts))
    settings = told_settings(payload, _text("settings", getattr(event, "settings", None), MOST_TOLD))
    if kind == "json":
        return gr.update(download=names_file(texts, kept, settings))
    table = table_of(payload, texts, kept)
    if kind == "csv":
        return gr.update(download=csv_file(table, settings))
    return gr.update(download=binary_file("texts.parquet", parquet_bytes(table, settings)))


def slice_(collected: Collected | None, event: gr.EventData) -> Any:
    """The rows that are left, for the parts of the room that follow them."""
    if collected is None or not _is_about(collected, event):
        return gr.skip()
    n = len(collected.opened().texts)
    return Slice(collected.key, tuple(_rows_of(event, n)), _text("told", getattr(event, "told", None), MOST_TOLD))


def find_text(shown: Any, collected: Collected | None, event: gr.EventData) -> OtherPair | None:
    """The pair that a row of the table is, and the models that read it."""
    if collected is None or not _is_about(collected, event):
        return None
    return pair_of(collected, getattr(event, "row", None))


def pair_of(collected: Collected, row: Any) -> OtherPair:
    """The pair that a row is, and the models that read it.

    Raises:
        SelectionError: If there is no such row, or its text is too long for *One pair*.
    """
    texts = collected.opened().texts
    text = texts[_row(row, len(texts))]
    for one in (text.text_a, text.text_b or ""):
        if len(one) > limits.MAX_CHARACTERS:
            raise SelectionError(
                f"This text has {len(one):,} characters; One pair takes at most {limits.MAX_CHARACTERS:,} of one."
            )
    model_a, revision_a, model_b, revision_b = collected.named
    return {
        "model_a": model_a,
        "revision_a": revision_a,
        "model_b": model_b,
        "revision_b": revision_b,
        "text_a": text.text_a,
        "text_b": text.text_b or "",
    }


def go_to_pair(collected: Collected | None, event: gr.EventData) -> Any:
    """Switch to the room *One pair*, and remember which row it shows: the rooms, their choice, the map."""
    if collected is None or not _is_about(collected, event):
        return gr.skip(), gr.skip(), gr.skip()
    row = _row(getattr(event, "row", None), len(collected.opened().texts))
    return gr.Tabs(selected="pair"), "pair", gr.update(opened=row)


def _is_about(collected: Collected, event: gr.EventData) -> bool:
    return getattr(event, "key", None) == collected.key


def _row(row: Any, n: int) -> int:
    number = whole_number("row", row)
    if not 0 <= number < n:
        raise SelectionError(f"There is no row {number:,}; choose one from 0 to {n - 1:,}.")
    return number


def _rows_of(event: gr.EventData, n: int) -> list[int]:
    packed = getattr(event, "rows", None)
    found = unpacked_rows(packed, n) if isinstance(packed, str) else None
    if found is None:
        raise SelectionError(f"rows is {arguments.came(packed)}; give different rows below {n:,}, as base64 of uint32.")
    return found


def _text(name: str, text: Any, most: int) -> str:
    wanted = arguments.checked(name, text, str)
    if len(wanted) > most:
        raise SelectionError(f"{name} has {len(wanted):,} characters; give at most {most:,}.")
    return wanted
