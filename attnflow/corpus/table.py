"""A source of texts while it is read: names of its columns, and its rows one after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from attnflow.records.coreference import Document
from attnflow.records.trees import Sentence


@dataclass(frozen=True)
class Unreadable:
    """A row that cannot be read, and why: how the reason goes on after a number of rows."""

    reason: str


@dataclass(frozen=True)
class Row:
    """One row as its source has it."""

    name: str
    """Its place in the source, which is the same each time that the source is read."""
    cells: Sequence[Any]
    """In the order of the columns of its table; None where there is nothing."""
    tree: Sentence | None = None
    """Of the first text, where the format has one."""
    document: Document | None = None
    """The chains of its texts, where the format has them."""


@dataclass(frozen=True)
class Table:
    """What a reader of some format found; the rows can be gone through once."""

    columns: tuple[str, ...]
    rows: Iterator[Row | Unreadable]
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Names of the classes of a column that holds their numbers."""
    total: int | None = None
    """How many rows the source has, if it says so."""
    guid: str | None = None
    """The column that the format itself defines as a name of the row."""
    notes: tuple[str, ...] = ()
    """What a reader must know of how it was read, in sentences."""
