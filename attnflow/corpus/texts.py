"""Opens collections of texts: the bundled pairs, a data set of the Hub, a file, or what the datasets library opened."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from attnflow.bundled import ASSETS
from attnflow.corpus.bounds import Bounds, Budget, tell_rows
from attnflow.corpus.columns import choose_columns, guess_columns
from attnflow.corpus.drawing import Drawing
from attnflow.corpus.files import KNOWN, Part, format_of, read_parts
from attnflow.corpus.gold import Gold
from attnflow.corpus.table import Row, Table, Unreadable
from attnflow.errors import SelectionError, TextsError
from attnflow.records.texts import Columns, Text, Texts, Value

BUNDLED = "demo/pairs"
_BUNDLED_FILE = ASSETS / "demo" / "texts.csv"
_LONGEST_NESTED = 2_000
"""Characters of JSON that a nested cell may be; a longer one is left out."""

Wanted = Columns | Mapping[str, str | None] | None


def open_texts(
    ref: Any,
    *,
    name: str | None = None,
    split: str | None = None,
    revision: str | None = None,
    columns: Wanted = None,
    rows: int | None = None,
    seed: int = 0,
    token: str | None = None,
    bounds: Bounds | None = None,
) -> Texts:
    """Open a collection of texts or of pairs of texts.

    Which column is what is guessed by the usual names, told in `Texts.columns`, and changed by `columns`. Numbers of
    classes become their names where the source tells them. Rows without a text are left out and counted in
    `Texts.left_out`.

    Of a file, `rows` are drawn from all its rows. Of a data set of the Hub, they are drawn from as much of it as has
    20 kB for each row that is asked for, and at least 8 MB: from row groups that are drawn themselves where it is
    Parquet, and from its beginning where it is CSV, JSON or text; `Texts.drawn_from` tells how many rows that were.
    Nothing is written to disk. No code of a data set is ever run.

    Args:
        ref: `demo/pairs`; a Hub id (`nyu-mll/glue`, perhaps with `@revision` or a folder in it) or an address that was
            copied from the Hub's pages; a file (CSV, TSV, JSON Lines, Parquet, TXT with one text a line, CoNLL-U),
            given as a `Path`, as a text that begins with `/`, `./`, `../` or `~`, or by the name of a file that is
            there; or a data set of the datasets library.
        name: Configuration of a data set of the Hub.
        split: Its split; if None the only one, or `validation`, or `train`, or the first.
        revision: Its branch, tag or commit.
        columns: Columns for `text_a`, `text_b`, `label` and `guid`, or None for those that are not to be used.
        rows: How many rows to draw, in the proportions of their labels; all if None.
        seed: The same seed draws the same rows.
        token: Hub access token for gated and private data sets. The process's own token is never used.
        bounds: The most that may be read and kept; no bound if None.

    Raises:
        TextsError: If the texts cannot be found, reached or read.
        SelectionError: If there is no such configuration, split or column, or `rows` is no number of rows.

    Example:
        >>> texts = open_texts("demo/pairs", rows=200)
        >>> len(texts), texts.total, texts.label_names
        (200, 2000, ('supported', 'unsupported'))
    """
    bounds = bounds or Bounds()
    draw = _drawing(rows, seed, bounds)
    if ref == BUNDLED or _is_file(ref):
        if name or split or revision:
            raise SelectionError(
                "A file has no configurations, splits or revisions; leave name, split and revision out."
            )
        return _open_file(_BUNDLED_FILE if ref == BUNDLED else ref, ref == BUNDLED, columns, draw, bounds)
    raise TextsError(f"{ref!r} is not known.")


def _drawing(rows: Any, seed: Any, bounds: Bounds) -> Drawing[Row]:
    for what, value, least in (("rows", rows, 1), ("seed", seed, 0)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
            raise SelectionError(f"{what} is {str(value)[:60]!r}; give a whole number of at least {least}.")
    most = [number for number in (rows, bounds.rows) if number is not None]
    return Drawing(min(most, default=None), seed or 0)


def _is_file(ref: Any) -> bool:
    if isinstance(ref, os.PathLike):
        return True
    if not isinstance(ref, str):
        return False
    return ref.startswith(("/", "./", "../", "~")) or (format_of(ref) is not None and Path(ref).is_file())


def open_file(
    path: str | os.PathLike[str],
    *,
    columns: Wanted = None,
    rows: int | None = None,
    seed: int = 0,
    bounds: Bounds | None = None,
) -> Texts:
    """Open a file, and nothing but a file; see `open_texts`."""
    bounds = bounds or Bounds()
    return _open_file(path, False, columns, _drawing(rows, seed, bounds), bounds)


def _open_file(
    ref: str | os.PathLike[str], bundled: bool, columns: Wanted, draw: Drawing[Row], bounds: Bounds
) -> Texts:
    path = Path(ref).expanduser()
    if path.is_dir():
        raise TextsError(f"{path.name} is a folder; give one file: {KNOWN}.")
    if not path.is_file():
        raise TextsError(f"There is no file {path.name}; check its name, and give {KNOWN}.")
    name = BUNDLED if bundled else path.name
    budget = Budget(bounds.size)
    try:
        table = read_parts([Part(path.name, lambda: path.open("rb"))], name, budget)
        return collect(table, name, columns, draw, bounds, budget)
    except OSError as error:
        raise TextsError(f"{name} cannot be read; check that it is a file that you may read.") from error


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
        if is_empty(cell):
            return empty
        if bounds.characters is not None and len(_as_text(cell)) > bounds.characters:
            return f"with a text of more than {bounds.characters:,} characters"
    return None


def is_empty(cell: Any) -> bool:
    """Whether there is nothing in a cell that could be a text."""
    return cell is None or (isinstance(cell, float) and math.isnan(cell)) or not _as_text(cell).strip()


def _as_text(cell: Any) -> str:
    """A cell as a text; a list of words is joined by spaces."""
    return " ".join(cell) if isinstance(cell, list) else str(cell)


def _text(row: Row, columns: Columns, place: Mapping[str, int], gold: Gold, bounds: Bounds) -> Text:
    def cell(column: str | None) -> Any:
        return None if column is None else row.cells[place[column]]

    used = (columns.text_a, columns.text_b, columns.label, columns.guid)
    given = cell(columns.guid)
    return Text(
        guid=row.name if is_empty(given) else _as_text(given).strip()[:200],
        text_a=_as_text(cell(columns.text_a)),
        text_b=None if columns.text_b is None else _as_text(cell(columns.text_b)),
        label=gold.value(gold.name(cell(columns.label))),
        meta=MappingProxyType({c: _value(row.cells[n], bounds) for c, n in place.items() if c not in used}),
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
        text = json.dumps(cell, ensure_ascii=False, default=str)
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
        found.append(text if guid == text.guid else Text(guid, text.text_a, text.text_b, text.label, text.meta))
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
