"""Reads the sentences of a CoNLL-U file as texts with their dependency trees, and says where a line is wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from attnflow.corpus.line_faults import LineFault, opened
from attnflow.corpus.table import Row, Table, Unreadable
from attnflow.errors import TextsError
from attnflow.records.trees import ROOT, Sentence, cycle_in

TEXT, NAME = "text", "sent_id"
_FIELDS = 10
_CARRIED = ("newdoc id", "newpar id")
"""Comments that hold for the sentences that follow, too."""
COLUMNS = (NAME, TEXT, *_CARRIED)
_MOST_WORDS, _LONGEST_RELATION = 10_000, 100
"""Of a sentence, and in letters: far above those of any treebank, so that no file makes a reader keep more."""


@dataclass
class _Block:
    """The lines of one sentence."""

    said: dict[str, str] = field(default_factory=dict[str, str])
    """Its comments."""
    lines: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """Number and content of the others, of which no more are kept than a sentence may have."""


def read_conllu(path: str | os.PathLike[str]) -> list[Sentence]:
    """Read a treebank in CoNLL-U.

    Empty nodes and enhanced dependencies are left aside: trees are those of the columns HEAD and DEPREL. Words that are
    written as one (`1-2  du`) are words of their own, as in the treebank.

    Args:
        path: The file, in UTF-8.

    Returns:
        All sentences that have a tree, in their order.

    Raises:
        TextsError: If the file cannot be read, or with the number of the first line that is wrong, and what it should
            be: ten fields, words counted from 1, governors in the sentence and without a circle, and every word in the
            text.

    Example:
        >>> for sentence in read_conllu("dev.conllu"):  # doctest: +SKIP
        ...     print(sentence.words, sentence.governor, sentence.relation)
    """
    name = os.fspath(path)
    found = []
    with opened(name) as file:
        for block in _blocks(file):
            _, sentence = _read(block, "")
            if sentence is not None and sentence.words:
                found.append(sentence)
    if not found:
        raise TextsError(f"{name} has no sentence with a tree; give a treebank in CoNLL-U.")
    return found


def read_conllu_rows(lines: Iterator[str], name: str) -> Table:
    """A table with a row for each sentence: its text, its name, the document that it is in, and its tree.

    The text is that of the comment `text`; without one, its forms, with a space between them but where `SpaceAfter=No`.

    Args:
        lines: All lines.
        name: What the file is called, for messages.

    Raises:
        TextsError: If it does not begin like CoNLL-U.
    """
    rows = _rows(lines)
    first = next(rows, None)
    if first is None or isinstance(first, Unreadable):
        raise TextsError(
            f"{name} is no CoNLL-U file; give sentences of lines with ten fields, an empty line after each."
        )
    return Table(COLUMNS, _with_first(first, rows), guid=NAME)


def _with_first(first: Row, rows: Iterator[Row | Unreadable]) -> Iterator[Row | Unreadable]:
    yield first
    yield from rows


def _rows(lines: Iterator[str]) -> Iterator[Row | Unreadable]:
    carried: dict[str, str] = {}
    for number, block in enumerate(_blocks(lines)):
        carried |= {key: block.said[key] for key in _CARRIED if key in block.said}
        try:
            text, tree = _read(block, str(number))
        except LineFault as fault:
            yield Unreadable(fault.reason)
        else:
            cells = [block.said.get(NAME), text, *map(carried.get, _CARRIED)]
            yield Row(str(number), cells, tree=tree)


def _blocks(lines: Iterator[str]) -> Iterator[_Block]:
    block = _Block()
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\n")
        if line.startswith("#"):
            key, separator, value = line[1:].partition("=")
            if separator and key.strip() in COLUMNS:
                block.said[key.strip()] = value.strip()
        elif line.strip():
            if len(block.lines) <= _MOST_WORDS:
                block.lines.append((number, line))
        elif block.lines:
            yield block
            block = _Block()
    if block.lines:
        yield block


_BROKEN = "that are no CoNLL-U"
_BAD_TREE = "with a broken tree"
_TOO_LONG = f"of more than {_MOST_WORDS:,} words"


@dataclass(frozen=True)
class _Word:
    line: int
    form: str
    head: str
    relation: str


@dataclass(frozen=True)
class _Written:
    """What stands in the text as one: a word, or a range of them."""

    form: str
    first: int
    last: int
    space: str


def _parsed(block: _Block) -> tuple[list[_Word], list[_Written]]:
    if len(block.lines) > _MOST_WORDS:
        raise LineFault(_TOO_LONG, block.lines[-1][0], f"the sentence has more than {_MOST_WORDS:,} words; cut it.")
    words: list[_Word] = []
    written: list[_Written] = []
    covered = 0  # the last word that the written form of a range stands for
    for line, content in block.lines:
        fields = content.split("\t")
        if len(fields) != _FIELDS:
            raise LineFault(
                _BROKEN, line, f"it has {len(fields)} fields; a word has {_FIELDS}, with tabs between them."
            )
        number, form = fields[0], fields[1]
        start, dash, end = number.partition("-")
        space = "" if "SpaceAfter=No" in fields[9].split("|") else " "
        if dash and start.isdecimal() and end.isdecimal() and int(start) == len(words) + 1 <= int(end):
            covered = int(end)
            written.append(_Written(form, len(words), covered - 1, space))
        elif number.isdecimal() and int(number) == len(words) + 1:
            words.append(_Word(line, form, fields[6], fields[7]))
            if len(words) > covered:
                written.append(_Written(form, len(words) - 1, len(words) - 1, space))
        elif not all(part.isdecimal() for part in number.split(".", 1)) or "." not in number:  # else an empty node
            raise LineFault(
                _BROKEN, line, f"it is numbered {number[:20]!r} after {len(words)} words; count words from 1, in order."
            )
    if covered > len(words):
        line = block.lines[-1][0]
        raise LineFault(_BROKEN, line, f"the sentence ends after {len(words)} words, and a range goes to {covered}.")
    return words, written


def _read(block: _Block, guid: str) -> tuple[str, Sentence | None]:
    """The text of a sentence, and the sentence with its tree; None where a word has no governor in the file."""
    words, written = _parsed(block)
    text = block.said.get(TEXT) or "".join(one.form + one.space for one in written).strip()
    if any(word.head == "_" for word in words):
        return text, None
    governor = []
    for number, word in enumerate(words):
        if not word.head.isdecimal() or int(word.head) > len(words) or int(word.head) == number + 1:
            raise LineFault(
                _BAD_TREE,
                word.line,
                f"the governor of {word.form[:40]!r} is {word.head[:20]!r}; give another of the {len(words)} words, or "
                "0 for the root.",
            )
        if len(word.relation) > _LONGEST_RELATION:
            told = f"{len(word.relation):,} letters; one has at most {_LONGEST_RELATION}."
            raise LineFault(_BAD_TREE, word.line, f"the relation of {word.form[:40]!r} has {told}")
        governor.append(int(word.head) - 1)
    circle = cycle_in(governor)
    if circle is not None:
        line, form = words[circle].line, words[circle].form
        raise LineFault(_BAD_TREE, line, f"the governors from {form[:40]!r} on lead in a circle; a tree has none.")
    return text, Sentence(
        text=text,
        words=tuple(word.form for word in words),
        governor=tuple(one if one >= 0 else ROOT for one in governor),
        relation=tuple(word.relation for word in words),
        span=tuple(_spans(text, words, written)),
        guid=block.said.get(NAME) or guid,
    )


def _spans(text: str, words: list[_Word], written: list[_Written]) -> Iterator[tuple[int, int]]:
    """Where each word stands in the text."""
    place = 0
    for one in written:
        while place < len(text) and text[place].isspace():
            place += 1
        if not text.startswith(one.form, place):
            raise LineFault(
                "whose words are not in their text",
                words[one.first].line,
                f"{one.form[:40]!r} is not what comes next in the text, {text[place : place + 40]!r}; the forms make "
                "up the text.",
            )
        forms = [word.form for word in words[one.first : one.last + 1]]
        if "".join(forms) == one.form:
            for form in forms:
                yield place, place + len(form)
                place += len(form)
        else:
            yield from [(place, place + len(one.form))] * len(forms)
            place += len(one.form)
