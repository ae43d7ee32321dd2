"""What the charts of a corpus show of one model: numbers of its heads over many texts, few enough to be kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnflow.records.corpus import CorpusStatistics
from attnflow.records.trace import Head
from attnflow.stats.head_distances import HeadMap
from attnflow.views.payloads import Side

ATTENTION, GRADIENT = "attention: ", "gradient: "
"""What columns of the table begin with that are one number for each kind of token."""
RELATIONS = "relations"
"""The column that tells which relations of a treebank each head follows."""
FAR = 16
"""Tokens to either side of a token that histograms of positions reach."""
RARE = 0.1
"""Share of the tokens that must have a position: of those that few have, a mean tells little."""


@dataclass(frozen=True, eq=False)
class CorpusModel:
    """The heads of one model over many texts."""

    side: Side
    name: str
    n_layers: int
    n_heads: int
    n: int
    """Texts that were read."""
    n_slow: int
    """Texts of what takes a backward pass or derivatives; 0 if that was not asked for."""
    cut: int
    failed: Mapping[str, str]
    """By the name of a text why it could not be read."""
    table: Mapping[str, NDArray[Any]]
    """Columns: a number or name for each head, `[L, H]`."""
    most: float
    """The entropy of attention that is spread evenly, in nats."""
    offset: NDArray[np.int64]
    """`[O]`: relative positions, up to `FAR` and not `RARE`."""
    at_offset: NDArray[np.float64]
    """`[L, H, O]`: mean attention at each."""
    centre: Mapping[str, NDArray[np.float64]]
    """`[L]`: centre of mass of attention and, if asked for, of contributions, in tokens."""
    centre_by_group: Mapping[str, NDArray[np.float64]]
    """`[L]`: of attention in the texts of each group."""
    map: HeadMap
    same_layer: float
    """Mean divergence of two heads of one layer, in nats; NaN if no layer has two."""
    other_layer: float
    """Likewise of two heads of different layers."""
    gradient: NDArray[np.float64] | None
    """`[L, kind]`: mean over heads; None if it was not asked for, or the model cannot have it."""
    gradient_kinds: tuple[str, ...]
    lacks: tuple[str, ...] = ()
    """Sentences on what this model cannot have."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of token that its attention is told for."""
        return tuple(name.removeprefix(ATTENTION) for name in self.table if name.startswith(ATTENTION))

    def names(self, head: Head) -> tuple[str, ...]:
        """What a head is called, strongest first."""
        told = str(self.table["name"][head])
        return tuple(told.split(", ")) if told else ()

    def follows(self, head: Head) -> str:
        """The relations that a head follows, with how often it finds the governor; empty without a treebank."""
        return str(self.table[RELATIONS][head]) if RELATIONS in self.table else ""

    def has(self, head: Head | None) -> bool:
        """Whether there is such a head."""
        return head is not None and 0 <= head[0] < self.n_layers and 0 <= head[1] < self.n_heads


def corpus_model(
    side: Side,
    quick: CorpusStatistics,
    slow: CorpusStatistics | None = None,
    lacks: Sequence[str] = (),
    head_map: Callable[[Any], HeadMap] = lambda distances: distances.embed(),
) -> CorpusModel:
    """Take from statistics what is shown of them.

    Args:
        side: Which of the two models.
        quick: Of all texts: surface, entropy, head distances, positions, and what else there is in its table.
        slow: Of some texts, if asked for: any of gradients of attention, positions of contributions, agreement.
        lacks: Sentences on what the model cannot have.
        head_map: Lays the heads out in the plane by their distances.
    """
    positions, distances = quick["positions"], quick["head_distances"]
    common = positions.occurrences >= RARE * positions.occurrences.max()
    near = (abs(positions.offset) <= FAR) & common
    centre = {"attention": positions.centre}
    results: Mapping[str, Any] = {} if slow is None else slow.results
    if (contributions := results.get("contribution_positions")) is not None:
        centre |= {"previous layer": contributions.previous_layer.centre, "input": contributions.input.centre}
    gradient = results.get("attention_gradient")
    settings = quick.settings
    layer = np.repeat(np.arange(settings.n_layers), settings.n_heads)
    same = layer[:, None] == layer
    pairs = ~np.eye(len(layer), dtype=bool)
    return CorpusModel(
        side,
        settings.model,
        settings.n_layers,
        settings.n_heads,
        quick.n,
        0 if slow is None else slow.n,
        quick.cut,
        dict(quick.failed),
        MappingProxyType({**quick.table, **({} if slow is None else slow.table)}),
        quick["entropy"].most,
        positions.offset[near],
        positions.mean[..., near],
        centre,
        {name: found["positions"].centre for name, found in quick.groups.items()},
        head_map(distances),
        _mean(distances.distance[same & pairs]),
        _mean(distances.distance[~same]),
        None if gradient is None else gradient.layer,
        () if gradient is None else gradient.kinds,
        tuple(lacks),
    )


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else float("nan")
