"""Lines of text from bytes that a stranger wrote: any common encoding, and never a line that fills the memory."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from attnflow.corpus.bounds import Budget
from attnflow.errors import TextsError

_AT_ONCE = 1 << 18
LONGEST_LINE = 1 << 22
"""Characters; of a longer line only the beginning is kept, which whoever reads it takes for broken."""
_BROKEN_MARK = "ï»¿"
"""A byte order mark whose bytes were taken for Windows-1252 and encoded once more, as in the file of MRPC."""


def _western(error: UnicodeError) -> tuple[str, int]:
    """What stands for bytes that are no UTF-8: they are read as Windows-1252, the usual other encoding."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", errors="replace"), error.end


codecs.register_error("attnflow.western", _western)


def encoding_of(head: bytes, name: str) -> str:
    """The encoding of a file of text, by its first bytes.

    Raises:
        TextsError: If it is no text.
    """
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in head:
        raise TextsError(
            f"{name} is no text but a binary file; give CSV, TSV, JSON Lines, Parquet, TXT, CoNLL-U or CoNLL-2012."
        )
    return "utf-8"


def read_blocks(file: BinaryIO, name: str, budget: Budget) -> Iterator[str]:
    """The text of a file in blocks, without a byte order mark and with the same end of every line.

    Bytes that are no UTF-8 are read as Windows-1252, so that a file of either kind, or a mixture, can be read from the
    first byte to the last without knowing which it is.

    Args:
        file: Opened at its beginning.
        name: What it is called, for messages.
        budget: How much of it may be read.

    Raises:
        TextsError: If it is no text.
    """
    block = budget.read_from(file, _AT_ONCE)
    decoder = codecs.getincrementaldecoder(encoding_of(block, name))(errors="attnflow.western")
    ends = io.IncrementalNewlineDecoder(None, translate=True)
    first = True
    while block:
        text = ends.decode(decoder.decode(block))
        yield without_mark(text) if first else text
        first = False
        block = budget.read_from(file, _AT_ONCE)
    yield ends.decode(decoder.decode(b"", final=True), final=True)


def cut_lines(blocks: Iterable[str], name: str, budget: Budget) -> Iterator[str]:
    """The lines of a text that arrives in blocks, each with its end; without the last if the budget ended in it.

    Args:
        blocks: The text.
        name: What it is called, for messages.
        budget: How much of it is read.

    Raises:
        TextsError: If the budget ended in the first line.
    """
    begun: list[str] = []
    length, any_line = 0, False
    for block in blocks:
        *whole, rest = block.split("\n")  # at no other ends of lines: a cell may hold them
        for line in whole:
            yield "".join([*begun, line, "\n"] if length < LONGEST_LINE else begun)
            begun, length, any_line = [], 0, True
        if length < LONGEST_LINE:
            begun.append(rest)
            length += len(rest)
    last = "".join(begun)
    if budget.spent and not any_line:
        raise TextsError(
            f"{name} has no end of a line in the {budget.read:,} bytes that are read of it; check the file."
        )
    if last and not budget.spent:
        yield last


def without_mark(text: str) -> str:
    """A text without the byte order marks that it begins with, however often they were encoded."""
    while text.startswith(("\ufeff", _BROKEN_MARK)):
        text = text.removeprefix("\ufeff").removeprefix(_BROKEN_MARK)
    return text
