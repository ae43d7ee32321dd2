"""What the heads of one model do over a collection of texts: results by name, for all texts and for each group."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


@dataclass(frozen=True)
class CorpusSettings:
    """All that the numbers depend on; two runs with the same settings give the same."""

    model: str
    commit: str
    """Of the Hub, or a hash of the files."""
    precision: str
    texts: str
    """Fingerprint of the collection."""
    n: int
    """Texts of the collection."""
    statistics: tuple[tuple[str, int], ...]
    """Names of what is computed, and the version of each."""
    group_by: str | None
    """The column whose values make up the groups."""
    groups: tuple[str, ...]
    """Names of the groups, sorted; a single empty one if there are none."""
    grouping: str
    """A hash of which text belongs to which group."""
    too_long: Literal["cut", "leave_out"]
    """What becomes of a text with more tokens than fit."""
    max_tokens: int | None
    """How many fit; None for any number."""
    n_layers: int
    n_heads: int
    labels: tuple[tuple[str, str], ...]
    """The class that each label stands for, in what depends on a loss."""
    importance: Literal["taylor", "gate"] | None
    """The method by which importance is measured; None if it is not."""
    probes: int | None
    """Gaussian probes that contributions of the input are estimated from; None if they are exact, or not asked for."""
    seed: int
    """Of the words that are masked and of the probes."""
    pooling: Literal["mean", "first"] | None = None
    """What a word that is several tokens attends to; None if attention between words is not asked for."""
    candidates: Literal["before", "mentions", "all"] | None = None
    """Which words a head chooses antecedents from; None if they are not asked for."""
    part_size: int = 256
    """Texts that are run together; what is padded, and so the last digits, depend on it."""
    version: int = 1
    """Of the meaning of the files."""


@dataclass(frozen=True)
class ByContribution(Generic[T]):
    """The same of two kinds of contribution (Hidden Token Attribution)."""

    previous_layer: T
    """Of what enters the head's own layer; exact."""
    input: T
    """Of what enters the first layer."""
    probes: int | None
    """Probes that contributions of the input were estimated from; None if they are exact. Their noise makes agreement
    with them look a little smaller than it is."""


@dataclass(frozen=True, eq=False)
class CorpusStatistics:
    """What one model's heads do over many texts.

    `found["entropy"]` is the result of a statistic over all texts, `found.of("de")["entropy"]` that of a group.
    """

    settings: CorpusSettings
    results: Mapping[str, Any]
    """By the name of the statistic: what the `result` of its accumulator is."""
    groups: Mapping[str, Mapping[str, Any]]
    """By group, then likewise; empty without `group_by`. A group of which no text could be read is left out."""
    n: int
    """Texts that were read."""
    n_by_group: Mapping[str, int]
    cut: int
    """Texts among them that were too long, and were cut."""
    failed: Mapping[str, str]
    """By the name of a text: why it could not be read, in a sentence."""
    tables: Mapping[str, Mapping[str, NDArray[Any]]] = field(default_factory=lambda: MappingProxyType({}))
    """By group (`""` for all texts), then by column: a number, or a name, for each head, `[L, H]`."""
    notes: tuple[str, ...] = ()
    """Sentences for whoever looks at it."""
    states: Mapping[str, NDArray[Any]] = field(default_factory=lambda: MappingProxyType({}))
    """What it was computed from, as `Statistic.state` gives it."""

    def __getitem__(self, name: str) -> Any:
        return self.results[name]

    def of(self, group: str) -> Mapping[str, Any]:
        """The results of a group.

        Raises:
            KeyError: If there is none.
        """
        return self.groups[group]

    @property
    def table(self) -> Mapping[str, NDArray[Any]]:
        """One number for each head, `[L, H]`, by the name of the column."""
        return self.tables.get("", {})

    def rows(self, group: str = "") -> list[dict[str, Any]]:
        """A row for each head, `layer` and `head` counted from 0; what is no number is None."""
        columns = self.tables.get(group, {})
        return [
            {"layer": layer, "head": head} | {name: _plain(column[layer, head]) for name, column in columns.items()}
            for layer, head in np.ndindex(self.settings.n_layers, self.settings.n_heads)
        ]


def _plain(value: object) -> object:
    """A number or text as JSON has it."""
    if isinstance(value, float):  # of NumPy, too
        return float(value) if math.isfinite(value) else None
    return str(value) if isinstance(value, str) else value
