"""Chosen rows of a collection of texts as a file: their texts whole, and what two models made of them."""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from attnflow.records.texts import Texts
from attnflow.views.collected import MISSING, OWN_FIELDS, cells_of, fields
from attnflow.views.collection import Collection, CollectionFile, TextColumn
from attnflow.views.csv_text import csv_text


def unpacked_rows(packed: str, n: int) -> list[int] | None:
    """Rows that the page sent as base64 text of uint32; None if they are none of `n`, or one comes twice."""
    try:
        data = base64.b64decode(packed, validate=True)
    except ValueError:
        return None
    if len(data) % 4 or len(data) > 4 * n:
        return None
    rows: list[int] = np.frombuffer(data, "<u4").tolist()
    return rows if all(row < n for row in rows) and len(set(rows)) == len(rows) else None


def table_of(collected: Collection, texts: Texts, rows: Sequence[int]) -> dict[str, list[Any]]:
    """All that is known of some texts, by the name of a column: their texts whole, then what is drawn of them."""
    names = fields(texts)
    cells = [cells_of(texts[row], names) for row in rows]
    table: dict[str, list[Any]] = {"guid": [texts[row].guid for row in rows]}
    own = [one for one in collected["columns"] if one["name"] != "label" and not one["name"].startswith("meta:")]
    taken = {"guid", "settings", *OWN_FIELDS, *(one["name"] for one in own)}
    for place, name in enumerate(names):
        clashes = place >= len(OWN_FIELDS) and name in taken
        table[f"source: {name}" if clashes else name] = [row[place] for row in cells]
    return table | {column["name"]: _values(column, rows) for column in own}


def _values(column: TextColumn, rows: Sequence[int]) -> list[Any]:
    data = base64.b64decode(column["values"])
    if column["kind"] == "kind":
        index = np.frombuffer(data, "<u2")
        return [column["kinds"][number] if number != MISSING else None for number in index[list(rows)].tolist()]
    return [
        None if math.isnan(value) else float(f"{value:.6g}")
        for value in np.frombuffer(data, "<f4")[list(rows)].tolist()
    ]


def told_settings(collected: Collection, settings: str) -> dict[str, Any]:
    """What a saved file says of how it came about."""
    return {
        "source": collected["source"],
        "models": collected["models"],
        "key": collected["key"],
        "about": collected["about"],
        "filters and order": settings,
    }


def csv_file(table: Mapping[str, Sequence[Any]], settings: Mapping[str, Any]) -> CollectionFile:
    """A table as CSV; its first column tells, in its first row, how the file came about."""
    header = ["settings", *table]
    told = json.dumps(settings, ensure_ascii=False)
    rows = zip(*table.values(), strict=True)
    lines = (
        [told if number == 0 else "", *("" if cell is None else cell for cell in row)]
        for number, row in enumerate(rows)
    )
    return {"name": "texts.csv", "text": csv_text(header, lines), "at": time.time()}


def names_file(texts: Texts, rows: Sequence[int], settings: Mapping[str, Any]) -> CollectionFile:
    """Names of some texts as JSON; their rows, too, where texts are called by the row that they have in the source."""
    guids = [texts[row].guid for row in rows]
    told: dict[str, Any] = {"settings": dict(settings), "guids": guids}
    if guids and all(guid.isascii() and guid.isdecimal() for guid in guids):
        told["rows"] = [int(guid) for guid in guids]
    return {"name": "texts.json", "text": json.dumps(told, ensure_ascii=False) + "\n", "at": time.time()}


def binary_file(name: Literal["texts.parquet"], data: bytes) -> CollectionFile:
    """A file of bytes."""
    return {"name": name, "base64": base64.b64encode(data).decode("ascii"), "at": time.time()}
