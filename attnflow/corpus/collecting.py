"""Makes texts of the rows of a source: goes through them once, draws some, and tells what was left out."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from attnflow.corpus.bounds import Bounds, Budget, tell_rows
from attnflow.corpus.columns import Wanted, choose_columns, guess_columns
from attnflow.corpus.drawing import Drawing
from attnflow.corpus.gold import Gold
from attnflow.corpus.table import Row, Table, Unreadable
from attnflow.errors import TextsError
from attnflow.records.texts import Columns, Text, Texts, Value

_LONGEST_NESTED = 2_000
"""Characters of JSON that a nested cell may be; a longer one is left out."""
_LONGEST_NAME = 200


def collect(table: Table, name: str, wanted: Wanted, draw: Drawing[Row], bounds: Bounds, budget: Budget) -> Texts:
    """Go once through the rows of a table, and make texts of those that are drawn.

    Args:
        table: The source.
        name: What it is called.
        wanted: Columns that were asked for.
        draw: Draws the rows; still empty.
        bounds: The most that may be kept.
        budget: What is read of the source.

    Raises:
        TextsError: If there is no row that can be used.
        SelectionError: If there is no such column.
    """
    if bounds.columns is not None and len(table.columns) > bounds.columns:
        raise TextsError(
            f"{name} has {len(table.columns):,} columns; at most {bounds.columns:,} are read here. Leave out "
            "those that are not needed."
        )
    guessed = guess_columns(table.columns, table.classes, table.guid)
    columns = choose_columns(guessed, wanted, table.columns, name)
    place = {column: number for number, column in enumerate(table.columns)}
    gold = Gold(table.classes.get(columns.label or "", ()))
    left_out: Counter[str] = Counter()
    seen = 0
    for row in table.rows:
        seen += 1
        tell_rows(name, seen)
        if isinstance(row, Unreadable):
            left_out[row.reason] += 1
            continue
        fault = _fault(row, columns, place, bounds)
        if fault:
            left_out[fault] += 1
        else:
            draw.offer(row, gold.name(row.cells[place[columns.label]]) if columns.label else None)
    drawn = draw.drawn()
    if not drawn:
        reasons = "; ".join(f"{count:,} {reason}" for reason, count in left_out.items())
        raise TextsError(
            f"{name} has no row with a text in {columns.text_a!r} ({reasons or 'it is empty'}); give texts, or choose "
            "other columns."
        )
    texts = [_text(row, columns, place, gold, bounds) for row in drawn]
    texts, doubled = _named_apart(texts, drawn)
    labels = {text.label for text in texts if isinstance(text.label, str)}
    names = gold.names([label for label in draw.counts if label is not None] if draw.classes else labels)
    whole = not budget.spent
    return Texts(
        rows=tuple(texts),
        source=name,
        columns=columns,
        label_names=names if columns.label else (),
        total=table.total if table.total is not None else seen if whole else None,
        left_out=MappingProxyType(dict(left_out)),
        drawn_from=seen,
        notes=(*table.notes, *_notes(texts, columns, gold, doubled, seen, whole)),
    )


def _fault(row: Row, columns: Columns, place: Mapping[str, int], bounds: Bounds) -> str | None:
    """Why a row cannot be used, as a reason goes on after a number of rows."""
    for column, empty in ((columns.text_a, "without a text"), (columns.text_b, "without a second text")):
        if column is None:
            continue
        cell = row.cells[place[column]]
        if isinstance(cell, (dict, bytes)) or (isinstance(cell, list) and not all(isinstance(x, str) for x in cell)):
            return "whose text is no text"
        if _is_empty(cell):
            return empty
        if bounds.characters is not None and len(_as_text(cell)) > bounds.characters:
            return f"with a text of more than {bounds.characters:,} characters"
    return None


def _is_empty(cell: Any) -> bool:
    """Whether there is nothing in a cell that could be a text."""
    return cell is None or (isinstance(cell, float) and math.isnan(cell)) or not _as_text(cell).strip()


def _as_text(cell: Any) -> str:
    """A cell as a text; a list of words is joined by spaces."""
    return " ".join(cell) if isinstance(cell, list) else str(cell)


def _text(row: Row, columns: Columns, place: Mapping[str, int], gold: Gold, bounds: Bounds) -> Text:
    def cell(column: str | None) -> Any:
        return None if column is None else row.cells[place[column]]

    used = (columns.text_a, columns.text_b, columns.label, columns.guid)
    given, document = cell(columns.guid), row.document
    both = (cell(columns.text_a), cell(columns.text_b))
    return Text(
        guid=row.name if _is_empty(given) else _as_text(given).strip()[:_LONGEST_NAME],
        text_a=_as_text(cell(columns.text_a)),
        text_b=None if columns.text_b is None else _as_text(cell(columns.text_b)),
        label=gold.value(gold.name(cell(columns.label))),
        meta=MappingProxyType({c: _value(row.cells[n], bounds) for c, n in place.items() if c not in used}),
        tree=row.tree if row.tree is not None and both[0] == row.tree.text else None,
        document=document if document is not None and both == (document.text, document.text_b) else None,
    )


def _value(cell: Any, bounds: Bounds) -> Value:
    """What a cell of another column holds; nested ones become JSON, if they are small, and bytes nothing."""
    if cell is None or isinstance(cell, (bool, int)):
        return cell
    if isinstance(cell, float):
        return cell if math.isfinite(cell) else None
    if isinstance(cell, (bytes, bytearray, memoryview)):
        return None
    if isinstance(cell, (list, dict)):
        try:
            text = json.dumps(cell, ensure_ascii=False, default=str)
        except (RecursionError, ValueError, TypeError):
            return None
        return text if len(text) <= _LONGEST_NESTED else None
    text = str(cell)
    if bounds.characters is not None and len(text) > bounds.characters:
        return text[: bounds.characters - 1] + "…"
    return text


def _named_apart(texts: Sequence[Text], rows: Sequence[Row]) -> tuple[list[Text], int]:
    """Texts that share a name with another get their place in the source behind it; and how many did."""
    count = Counter(text.guid for text in texts)
    taken = set(count)
    found = []
    for text, row in zip(texts, rows, strict=True):
        guid = text.guid
        if count[guid] > 1:
            guid = f"{guid}#{row.name}"
            while guid in taken:
                guid += "'"
            taken.add(guid)
        found.append(text if guid == text.guid else replace(text, guid=guid))
    return found, sum(number for number in count.values() if number > 1)


def _notes(
    texts: Sequence[Text], columns: Columns, gold: Gold, doubled: int, seen: int, whole: bool
) -> tuple[str, ...]:
    notes = []
    labels = {text.label for text in texts}
    if columns.label and gold.lists:
        notes.append(
            f"Column {columns.label!r} holds several labels at once in {gold.lists:,} rows; they have none here."
        )
    elif columns.label and labels == {None}:
        notes.append(f"No text has a label in column {columns.label!r}.")
    elif columns.label and len(labels) == 1:
        notes.append(f"All texts have the label {next(iter(labels))!r}.")
    if doubled:
        notes.append(
            f"{doubled:,} texts share their {columns.guid!r} with another; their place in the source is added to it."
        )
    if not whole:
        notes.append(f"The source was not read whole: the texts were drawn from {seen:,} of its rows.")
    return tuple(notes)
