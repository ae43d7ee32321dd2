"""Reads CSV and TSV, whatever separates their cells and whether or not their quotes mean anything."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from attnflow.corpus.table import Row, Table, Unreadable
from attnflow.errors import TextsError

_LOOKED_AT = 1_000
"""Lines by which separator and quotes are decided."""
_SEPARATORS = (",", "\t", ";", "|")
_NONE = "\x1f"
"""A separator that no text has."""


@dataclass(frozen=True)
class Dialect:
    """How the cells of a line are told apart."""

    separator: str
    quoted: bool
    """Whether quotes around a cell keep separators and ends of lines in it; if not, a quote is a character."""

    def read(self, lines: Iterable[str], *, strict: bool = False) -> Iterator[list[str]]:
        """The cells of each line, or of several where a quoted cell goes on over their end."""
        quoting = csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE
        return csv.reader(lines, delimiter=self.separator, quoting=quoting, strict=strict)


def find_dialect(lines: Sequence[str], separators: Sequence[str] = _SEPARATORS) -> Dialect:
    """The dialect in which most of the first lines have as many cells as the header.

    Quotes that do not parse, or that swallow lines which would be rows by themselves, are characters like any other:
    the files of MRPC and other tables separated by tabs have texts such as `"No , " he said .`.

    Args:
        lines: The first lines of a file, the header among them.
        separators: Those that come into question, the likeliest first.
    """
    best, found = None, None
    for separator in separators:
        for quoted in (True, False):
            dialect = Dialect(separator, quoted)
            width, rows, ragged = _tried(dialect, lines)
            if width > 1 and (best is None or rows - 2 * ragged > best):
                best, found = rows - 2 * ragged, dialect
    if found is None:  # one column, in whose texts no separator separates anything
        return Dialect(_NONE, quoted=_tried(Dialect(_NONE, quoted=True), lines)[1] > 0)
    return found


def _tried(dialect: Dialect, lines: Sequence[str]) -> tuple[int, int, int]:
    """Cells of the header, how many rows there are, and how many of them have another number of cells."""
    rows: list[int] = []
    try:
        rows += [len(row) for row in dialect.read(lines, strict=True) if row]
    except csv.Error as error:
        if "unexpected end" not in str(error):  # else a cell that goes on after the lines looked at
            return 0, 0, 0
    if not rows:
        return 0, 0, 0
    return rows[0], len(rows), sum(width != rows[0] for width in rows)


def read_separated(lines: Iterator[str], name: str, separators: Sequence[str] = _SEPARATORS) -> Table:
    """A table whose first line has the names of its columns.

    Rows with another number of cells than there are columns are told as unreadable; names that are missing or occur
    twice get one of their own.

    Args:
        lines: All lines.
        name: What the file is called, for messages.
        separators: What may separate the cells.

    Raises:
        TextsError: If it is empty.
    """
    head = list(itertools.islice(lines, _LOOKED_AT))
    dialect = find_dialect(head, separators)
    cells = dialect.read(itertools.chain(head, lines))
    header = next((row for row in cells if row), None)
    if header is None:
        raise TextsError(f"{name} is empty; give a file with the names of its columns in the first line, and rows.")
    return Table(columns=named(header), rows=_rows(cells, len(header)))


def _rows(cells: Iterator[list[str]], width: int) -> Iterator[Row | Unreadable]:
    number = 0
    while True:
        try:
            row = next(cells, None)
        except csv.Error as error:  # the reader goes on with the next line
            yield Unreadable(
                "too long, perhaps for a quote that is never closed" if "limit" in str(error) else "broken"
            )
            continue
        if row is None:
            return
        if not row:
            continue
        yield Row(str(number), row) if len(row) == width else Unreadable("with more or fewer cells than the header")
        number += 1


def named(header: Sequence[str]) -> tuple[str, ...]:
    """Names of columns, each of them once and none empty.

    Example:
        >>> named(["text", " text", ""])
        ('text', 'text (2)', 'column 3')
    """
    names: dict[str, None] = {}
    for number, cell in enumerate(header, start=1):
        plain = cell.strip() or f"column {number}"
        name, copies = plain, 1
        while name in names:
            copies += 1
            name = f"{plain} ({copies})"
        names[name] = None
    return tuple(names)
