"""Reads the documents of a CoNLL-2012 file with their coreference chains, and says where a line is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from attnflow.corpus.chain_bounds import BROKEN_CHAINS, MOST_MENTIONS, MOST_WORDS, check_mentions, spaced
from attnflow.corpus.constituents import head_in_tree, phrases
from attnflow.corpus.line_faults import LineFault
from attnflow.corpus.mention_rules import made_mention
from attnflow.corpus.table import Row, Table, Unreadable
from attnflow.errors import TextsError
from attnflow.records.coreference import Document, Mention

COLUMNS = ("id", "document", "part", "text")
_FIELDS = 12
_BEGIN = re.compile(r"#begin document \((.*)\)(?:; part ([0-9]{1,9}))?")
_PIECE = re.compile(r"(\()?(\d+)(\))?")
_ESCAPED = {"-LRB-": "(", "-RRB-": ")", "-LCB-": "{", "-RCB-": "}", "-LSB-": "[", "-RSB-": "]"}
_BROKEN = "that are no CoNLL-2012"


@dataclass
class _Part:
    """The lines of one part of a document."""

    name: str
    number: str
    lines: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """Number and content of each, of which no more are kept than a document may have; empty ones end sentences."""


def read_conll_rows(lines: Iterator[str], name: str) -> Table:
    """A table with a row for each part of a document: its name, its number, its words with a space between, its chains.

    Args:
        lines: All lines.
        name: What the file is called, for messages.

    Raises:
        TextsError: If it does not begin like CoNLL-2012.
    """
    rows = _rows(lines)
    try:
        first = next(rows, None)
    except LineFault as fault:
        raise TextsError(f"{name}, {fault}") from None
    if first is None:
        raise TextsError(f"{name} has no document; give CoNLL-2012, whose documents begin with #begin document (name).")
    return Table(COLUMNS, _with_first(first, rows), guid="id")


def _with_first(first: Row | Unreadable, rows: Iterator[Row | Unreadable]) -> Iterator[Row | Unreadable]:
    yield first
    try:
        yield from rows
    except LineFault as fault:
        yield Unreadable(fault.reason)


def _rows(lines: Iterator[str]) -> Iterator[Row | Unreadable]:
    for number, part in enumerate(_parts(lines)):
        try:
            found = _read(part)
        except LineFault as fault:
            yield Unreadable(fault.reason)
        else:
            yield Row(str(number), [found.guid, part.name, part.number, found.text], document=found)


def conll_documents(lines: Iterator[str]) -> Iterator[Document]:
    """The parts of documents in their order.

    Raises:
        LineFault: At the first line that is wrong.
    """
    return map(_read, _parts(lines))


def _parts(lines: Iterator[str]) -> Iterator[_Part]:
    part: _Part | None = None
    for number, line in enumerate(lines, 1):
        line = line.strip()
        begun = _BEGIN.match(line)
        if begun:
            if part is not None:
                yield part
            part = _Part(begun[1], str(int(begun[2] or 0)))
        elif line.startswith("#end document"):
            if part is not None:
                yield part
            part = None
        elif line.startswith("#") and len(line.split()) < _FIELDS:
            continue
        elif part is not None:
            if len(part.lines) <= 2 * MOST_WORDS:
                part.lines.append((number, line))
        elif line:
            raise LineFault(
                _BROKEN, number, "a word stands outside of a document; begin one with #begin document (name); part 000."
            )
    if part is not None:
        yield part


def _read(part: _Part) -> Document:
    words: list[str] = []
    tags: list[str] = []
    bits: list[str] = []
    begins: list[int] = []
    """The first word of each sentence."""
    opened: dict[int, list[tuple[int, int]]] = {}
    """By chain: the first word of each mention that is not closed, and its line."""
    spans: list[tuple[int, int, int]] = []
    new = True
    for line, content in part.lines:
        if not content:
            new = True
            continue
        if new:
            begins.append(len(words))
            new = False
        fields = content.split()
        if len(fields) < _FIELDS:
            raise LineFault(
                _BROKEN, line, f"it has {len(fields)} fields; a word has at least {_FIELDS}, the last for its chains."
            )
        if fields[2] != str(len(words) - begins[-1]):
            raise LineFault(
                _BROKEN,
                line,
                f"it is numbered {fields[2][:20]!r} after {len(words) - begins[-1]} words; count the words of a "
                "sentence from 0, and leave an empty line after it.",
            )
        if fields[3] == "[WORD]":
            raise LineFault(_BROKEN, line, "its word is left out; put the words of OntoNotes into the file first.")
        if len(words) >= MOST_WORDS:
            raise LineFault(_BROKEN, line, f"the document has more than {MOST_WORDS:,} words; cut it.")
        _mark(fields[-1], len(words), line, opened, spans)
        words.append(_plain(fields[3]))
        tags.append(fields[4])
        bits.append(fields[5])
    for chain, places in opened.items():
        if places:
            raise LineFault(
                BROKEN_CHAINS, places[-1][1], f"a mention of chain {chain} begins and never ends; close it by {chain})."
            )
    if not words:
        line = part.lines[0][0] if part.lines else 0
        raise LineFault(_BROKEN, line, f"the document {part.name[:60]!r} has no words; leave it out.")
    check_mentions([(start, end) for start, end, _ in spans], part.lines[0][0])
    text, span = spaced(words)
    return Document(
        text,
        tuple(words),
        span,
        tuple(_mentions(words, tags, bits, begins, sorted(spans))),
        guid=f"{part.name}/{part.number}",
    )


def _mark(
    column: str, word: int, line: int, opened: dict[int, list[tuple[int, int]]], spans: list[tuple[int, int, int]]
) -> None:
    """Note what begins and ends at a word."""
    if column in ("-", "_", "*"):
        return
    for piece in column.split("|"):
        found = _PIECE.fullmatch(piece)
        if not found or not (found[1] or found[3]) or len(found[2]) > 9:
            raise LineFault(
                BROKEN_CHAINS, line, f"its chains are {column[:40]!r}; write such as (3, 3), (3), (3|(5) or -."
            )
        chain = int(found[2])
        places = opened.setdefault(chain, [])
        if found[1]:
            places.append((word, line))
        if found[3]:
            if not places:
                raise LineFault(
                    BROKEN_CHAINS, line, f"a mention of chain {chain} ends that has not begun; open it by ({chain}."
                )
            spans.append((places.pop()[0], word + 1, chain))
        if len(spans) + len(places) + len(opened) > 3 * MOST_MENTIONS:
            raise LineFault(BROKEN_CHAINS, line, f"there are more than {MOST_MENTIONS:,} mentions; cut the text.")


def _mentions(
    words: Sequence[str],
    tags: Sequence[str],
    bits: Sequence[str],
    begins: Sequence[int],
    spans: Sequence[tuple[int, int, int]],
) -> Iterator[Mention]:
    tagged = tags if not any(tag in ("-", "_", "*") for tag in tags) else ()
    heads: dict[tuple[int, int], int] = {}
    for begin, end in zip(begins, [*begins[1:], len(words)], strict=True):
        for (start, last), phrase in phrases(bits[begin:end], tags[begin:end]).items():
            heads[begin + start, begin + last] = begin + head_in_tree(phrase)
    for start, end, chain in spans:
        yield made_mention(words, start, end, chain, head=heads.get((start, end)), tags=tagged)


def _plain(word: str) -> str:
    """A word without the escapes of OntoNotes."""
    if len(word) == 2 and word[0] == "/":  # such as /. and /?
        return word[1]
    return _ESCAPED.get(word, word)
