"""Reads the sentences of a CoNLL-U file as texts, with what its comments say of them."""

from __future__ import annotations

from collections.abc import Iterator

from attnflow.corpus.table import Row, Table, Unreadable
from attnflow.errors import TextsError

TEXT, NAME = "text", "sent_id"
_FIELDS = 10
_CARRIED = ("newdoc id", "newpar id")
"""Comments that hold for the sentences that follow, too."""
COLUMNS = (NAME, TEXT, *_CARRIED)


def read_conllu_rows(lines: Iterator[str], name: str) -> Table:
    """A table with a row for each sentence: its text, its name and the document that it is in.

    The text is that of the comment `text`; without one, its forms, with a space between them but where `SpaceAfter=No`.

    Args:
        lines: All lines.
        name: What the file is called, for messages.

    Raises:
        TextsError: If it does not begin like CoNLL-U.
    """
    rows = _sentences(lines)
    first = next(rows, None)
    if first is None or isinstance(first, Unreadable):
        raise TextsError(
            f"{name} is no CoNLL-U file; give sentences of lines with ten fields, an empty line after each."
        )
    return Table(COLUMNS, _with_first(first, rows), guid=NAME)


def _with_first(first: Row, rows: Iterator[Row | Unreadable]) -> Iterator[Row | Unreadable]:
    yield first
    yield from rows


def _sentences(lines: Iterator[str]) -> Iterator[Row | Unreadable]:
    said: dict[str, str] = {}
    carried: dict[str, str] = {}
    forms: list[str] = []
    covered = 0  # the last word that the surface form of a range stands for
    broken, number = False, 0
    for line in _ended(lines):
        line = line.rstrip("\n")
        if line.startswith("#"):
            key, separator, value = line[1:].partition("=")
            if separator:
                said[key.strip()] = value.strip()
            continue
        if line.strip():
            fields = line.split("\t")
            start, _, end = fields[0].partition("-")
            if len(fields) != _FIELDS or not start.partition(".")[0].isdecimal():
                broken = True
            elif end.isdecimal() or (start.isdecimal() and int(start) > covered):
                forms.append(fields[1] if "SpaceAfter=No" in fields[9].split("|") else fields[1] + " ")
                covered = int(end) if end.isdecimal() else covered
            continue
        carried |= {key: said[key] for key in _CARRIED if key in said}
        if broken:
            yield Unreadable("that are no CoNLL-U")
        elif forms:
            text = said.get("text") or "".join(forms).strip()
            yield Row(str(number), [said.get("sent_id"), text, *map(carried.get, _CARRIED)])
        if broken or forms:
            number += 1
            said, forms, covered, broken = {}, [], 0, False


def _ended(lines: Iterator[str]) -> Iterator[str]:
    yield from lines
    yield "\n"
