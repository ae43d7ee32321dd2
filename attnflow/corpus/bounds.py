"""How much of a source of texts is read and kept: nothing is bounded in the library, everything on a server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from attnflow import limits, progress

_ASKED_EVERY = 1_000


@dataclass(frozen=True)
class Bounds:
    """The most of each; None where there is no bound."""

    rows: int | None = None
    """Rows that are kept."""
    size: int | None = None
    """Bytes of the source that are read, unpacked."""
    characters: int | None = None
    """Characters of a cell; a row with a longer text is left out, other cells are cut."""
    columns: int | None = None
    """Columns of the source."""


SERVER = Bounds(limits.MAX_TEXTS, limits.MAX_DATASET_BYTES, limits.MAX_TEXT_CHARACTERS, limits.MAX_COLUMNS)
"""For what strangers name or send."""


class Budget:
    """Counts the bytes that are read of a source, and says when there are enough.

    Reading ends at the bound as if the source ended there; that it did is in `spent`.
    """

    def __init__(self, most: int | None) -> None:
        self.most = most
        self.read = 0
        self.spent = False

    def read_from(self, file: BinaryIO, size: int) -> bytes:
        """The next bytes of a file, as many as there are and may be read."""
        if self.most is not None and self.read + size > self.most:
            size = self.most - self.read
            if size <= 0:
                self.spent = self.spent or bool(file.read(1))
                return b""
        block = file.read(size)
        self.read += len(block)
        return block

    def count(self, size: int) -> None:
        """Note bytes that were read in another way."""
        self.read += size


def tell_rows(what: str, number: int) -> None:
    """Report now and then how many rows of a source were read, and end if nobody waits for them any more."""
    if number % _ASKED_EVERY == 0:
        progress.go_on()
        progress.tell(f"Reading {what}: {number:,} rows", 0.0)
