"""Finds the coreference chains in the rows of a table: those of GAP, and those of attnflow's own JSON Lines."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from attnflow.corpus.chain_bounds import BROKEN_CHAINS, MOST_WORDS, NOT_IN_TEXT, check_mentions
from attnflow.corpus.line_faults import LineFault
from attnflow.corpus.mention_rules import made_mention
from attnflow.corpus.table import Row, Table, Unreadable
from attnflow.records.coreference import Document, Mention

GAP = ("ID", "Text", "Pronoun", "Pronoun-offset", "A", "A-offset", "A-coref", "B", "B-offset", "B-coref")
"""Columns of GAP (Webster et al. 2018)."""
CHAINS = ("text_a", "words_a", "coreference")
"""Columns of chains in JSON: see `assets/demo/README.md`."""
_WORD = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*|\S")

Reader = Callable[[Mapping[str, Any], int], Document]


def reader_of(columns: Sequence[str]) -> Reader | None:
    """What reads the chains of rows with these columns; None if they have none."""
    for needed, reader in ((GAP, gap_document), (CHAINS, chains_document)):
        if set(needed) <= set(columns):
            return reader
    return None


def with_chains(table: Table) -> Table:
    """A table whose rows have their chains, if its columns tell them; else the same."""
    reader = reader_of(table.columns)
    return table if reader is None else replace(table, rows=_annotated(table, reader))


def _annotated(table: Table, reader: Reader) -> Iterator[Row | Unreadable]:
    for number, row in enumerate(table.rows, 1):
        if isinstance(row, Row):
            try:
                document = reader(dict(zip(table.columns, row.cells, strict=True)), number)
            except LineFault as fault:
                row = Unreadable(fault.reason)
            else:
                row = replace(row, document=document)
        yield row


def gap_documents(lines: Iterator[str]) -> Iterator[Document]:
    """The texts of a file of GAP.

    Raises:
        LineFault: At the first line that is wrong.
    """
    header: list[str] = []
    for number, line in enumerate(lines, 1):
        row = line.rstrip("\n").split("\t")  # quotes mean nothing in it
        if not line.strip():
            continue
        if not header:
            header = [cell.strip() for cell in row]
            continue
        if len(row) != len(header):
            told = f"it has {len(row)} cells, and the first line {len(header)}; give as many, with tabs between them."
            raise LineFault(BROKEN_CHAINS, number, told)
        yield gap_document(dict(zip(header, row, strict=True)), number)


def json_documents(lines: Iterator[str]) -> Iterator[Document]:
    """The texts of a file of JSON Lines with chains.

    Raises:
        LineFault: At the first line that is wrong.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                found = None
            if not isinstance(found, dict) or not set(CHAINS) <= set(found):
                told = f"it is no object with {', '.join(CHAINS)}; give one a line, as in assets/demo/pairs.jsonl."
                raise LineFault(BROKEN_CHAINS, number, told)
            yield chains_document(found, number)


def gap_document(cells: Mapping[str, Any], line: int) -> Document:
    """A text of GAP: a pronoun and two names, of which at most one is whom it stands for.

    Its other mentions are not annotated, so that a head that finds one of those counts as wrong.

    Args:
        cells: By the names of `GAP`.
        line: Where they stand.

    Raises:
        LineFault: If a mention is not where it is said to be, or it is not said who is meant.
    """
    text = str(cells["Text"])
    places: list[tuple[int, int]] = []
    for name in ("Pronoun", "A", "B"):
        form, offset = str(cells[name]), str(cells[f"{name}-offset"])
        start = int(offset) if offset.isdecimal() and len(offset) < 9 else -1
        if not form.strip() or start < 0 or not text.startswith(form, start):
            there = repr(text[start : start + 20]) if 0 <= start < len(text) else "nothing"
            raise LineFault(
                NOT_IN_TEXT,
                line,
                f"{name} is {form[:40]!r} at {offset[:20]!r}, and there stands {there}; give the number of its first "
                "character, from 0.",
            )
        places.append((start, start + len(form)))
    chains = [0, *(_same(cells[f"{name}-coref"], f"{name}-coref", other, line) for other, name in ((1, "A"), (2, "B")))]
    edges = sorted({edge for place in places for edge in place})
    span = tuple(_word_spans(text, edges))
    words = tuple(text[start:end] for start, end in span)
    if len(span) > MOST_WORDS:
        raise LineFault(BROKEN_CHAINS, line, f"the text has more than {MOST_WORDS:,} words; cut it.")
    starts, ends = (
        {start: word for word, (start, _) in enumerate(span)},
        {end: word for word, (_, end) in enumerate(span)},
    )
    mentions: list[Mention] = []
    for (start, end), chain in zip(places, chains, strict=True):
        own = text[start:end]
        first = starts[start + len(own) - len(own.lstrip())]
        last = ends[end - (len(own) - len(own.rstrip()))]
        mentions.append(made_mention(words, first, last + 1, chain))
    return Document(text, words, span, tuple(sorted(mentions, key=_place)), guid=str(cells["ID"])[:200])


def _same(cell: object, name: str, other: int, line: int) -> int:
    """The chain of a name: that of the pronoun, or its own."""
    said = str(cell).strip().upper()
    if said not in ("TRUE", "FALSE"):
        raise LineFault(BROKEN_CHAINS, line, f"{name} is {str(cell)[:40]!r}; give TRUE or FALSE.")
    return 0 if said == "TRUE" else other


def _word_spans(text: str, edges: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Words and signs of a text, none of which goes on over an edge."""
    for start, end in zip([0, *edges], [*edges, len(text)], strict=True):
        for found in _WORD.finditer(text, start, end):
            yield found.span()


def chains_document(cells: Mapping[str, Any], line: int) -> Document:
    """A text or a pair of texts with chains in JSON.

    `words_a`, and of a pair `words_b`, are the characters of each word; `coreference` is a list of
    `{"mentions": [[side, first word, word after the last], ...]}` with a side of "a" or "b".

    Args:
        cells: By the names of `CHAINS`, perhaps `text_b` and `words_b`.
        line: Where they stand.

    Raises:
        LineFault: If words are not in their text, or mentions not among the words.
    """
    text, text_b = cells["text_a"], cells.get("text_b") or None
    first = _given_spans(cells["words_a"], text, "words_a", line)
    second = [] if text_b is None else _given_spans(cells.get("words_b"), text_b, "words_b", line)
    words = [text[start:end] for start, end in first] + [str(text_b)[start:end] for start, end in second]
    sizes, offsets = {"a": len(first), "b": len(second)}, {"a": 0, "b": len(first)}
    spans, chain_of = list[tuple[int, int]](), list[int]()
    for number, chain in enumerate(_list(cells["coreference"], "coreference", line)):
        told = chain.get("mentions") if isinstance(chain, dict) else chain
        for mention in _list(told, "the mentions of a chain", line):
            side, start, end = mention if isinstance(mention, list) and len(mention) == 3 else ("", None, None)
            size = sizes.get(side, 0) if isinstance(side, str) else 0
            if not (type(start) is int and type(end) is int and 0 <= start < end <= size):
                raise LineFault(
                    BROKEN_CHAINS,
                    line,
                    f"a mention is {json.dumps(mention)[:60]}; give [side, first word, word after the last], with a "
                    f"side of a or b and words from 0: there are {sizes['a']} and {sizes['b']}.",
                )
            spans.append((offsets[side] + start, offsets[side] + end))
            chain_of.append(number)
    check_mentions(spans, line)
    mentions = [made_mention(words, *span, chain) for span, chain in zip(spans, chain_of, strict=True)]
    return Document(
        text,
        tuple(words),
        (*first, *second),
        tuple(sorted(mentions, key=_place)),
        text_b,
        None if text_b is None else len(first),
        guid=str(line - 1),
    )


def _place(mention: Mention) -> tuple[int, int, int]:
    return mention.start, mention.end, mention.chain


def _list(value: object, name: str, line: int) -> list[Any]:
    if not isinstance(value, list):
        raise LineFault(BROKEN_CHAINS, line, f"{name} is {str(value)[:40]!r}; give a list.")
    return value


def _given_spans(value: object, text: object, name: str, line: int) -> list[tuple[int, int]]:
    spans = _list(value, name, line)
    if not isinstance(text, str):
        raise LineFault(NOT_IN_TEXT, line, f"the text of {name} is {str(text)[:40]!r}; give a text.")
    if len(spans) > MOST_WORDS:
        raise LineFault(BROKEN_CHAINS, line, f"{name} has more than {MOST_WORDS:,} words; cut the text.")
    place, found = 0, list[tuple[int, int]]()
    for span in spans:
        start, end = span if isinstance(span, list) and len(span) == 2 else (None, None)
        if not (type(start) is int and type(end) is int and place <= start < end <= len(text)):
            raise LineFault(
                NOT_IN_TEXT,
                line,
                f"a word of {name} is {json.dumps(span)[:40]}; give its first character and the one after its last, "
                f"from {place} to {len(text)} and in order.",
            )
        found.append((start, end))
        place = end
    return found
