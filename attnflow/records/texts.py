"""A collection of texts: rows with a stable name each, and what is known of all of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from types import MappingProxyType
from typing import Any, overload

from attnflow.lazy import lazy
from attnflow.records.coreference import Document
from attnflow.records.trees import Sentence

Value = str | int | float | bool | None
"""What a cell of a column may hold."""


@dataclass(frozen=True)
class Text:
    """One row: a text or a pair of texts, its label, if known, and what else its source says of it."""

    guid: str
    """Its name, unique in its collection and the same each time that the source is read."""
    text_a: str
    text_b: str | None = None
    label: str | float | None = None
    """The gold answer: the name of a class, or a number where numbers are predicted."""
    meta: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))
    """Every other column of the source."""
    tree: Sentence | None = None
    """Of `text_a`, where the source is a treebank."""
    document: Document | None = None
    """The words and coreference chains of both texts, where the source has them."""


@dataclass(frozen=True)
class Columns:
    """Which column of the source is what; None where the source has no such column, or it is not to be used."""

    text_a: str
    text_b: str | None = None
    label: str | None = None
    guid: str | None = None


@dataclass(frozen=True)
class Texts(Sequence[Text]):
    """Texts in the order of their source.

    `label_names` are the classes in the order in which the source numbers them, or sorted where it does not. `total` is
    how many rows the source has, of which these were drawn; None where that cannot be known without reading all of it.
    `left_out` counts rows that could not be used, by the reason. `drawn_from` is how many rows were looked at, of which
    these were drawn: fewer than `total` where the source was too large to be read whole. `notes` are sentences for
    whoever looks at the texts, such as that they all have one label.
    """

    rows: tuple[Text, ...]
    source: str
    columns: Columns
    label_names: tuple[str, ...] = ()
    total: int | None = None
    left_out: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    drawn_from: int | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Text]:
        return iter(self.rows)

    @overload
    def __getitem__(self, index: int) -> Text: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Text, ...]: ...
    def __getitem__(self, index: int | slice) -> Text | tuple[Text, ...]:
        return self.rows[index]

    @property
    def counted(self) -> str:
        """How many there are of how many, in words."""
        of = f" of {self.total:,}" if self.total is not None and self.total != len(self) else ""
        return f"{len(self):,}{of} texts"

    @lazy
    def fingerprint(self) -> str:
        """A hash of all that an analysis may depend on: names, texts, labels, trees, chains, in their order."""
        return fingerprint(self.rows)


def fingerprint(rows: Iterable[Text]) -> str:
    """64 hexadecimal digits (SHA-256) of guid, texts, label, tree and chains of every row, in their order."""
    digest = hashlib.sha256()
    for row in rows:
        told: list[Any] = [row.guid, row.text_a, row.text_b, row.label]
        if row.tree is not None:
            told += [row.tree.words, row.tree.governor, row.tree.relation, row.tree.span]
        if row.document is not None:
            told += [row.document.words, row.document.span, *map(astuple, row.document.mentions)]
        digest.update(json.dumps(told).encode())
        digest.update(b"\n")
    return digest.hexdigest()
