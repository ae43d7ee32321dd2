"""What differs between the attention flows of two models: words, the heads that carry them, and rings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnflow.records.root import Root, tokens_of
from attnflow.records.trace import Head
from attnflow.stats.flow import Flow, FlowPair, unit_rings


@dataclass(frozen=True)
class Carrier:
    """The head through which a word comes closest to the decision."""

    head: Head
    query: Root
    """The token that attends to the word, counted in the model's own tokens; the root, where that is several."""
    weight: float
    """Its attention, or what edges are taken from, 0 to 1; that of a root of several tokens is their mean."""


@dataclass(frozen=True)
class FlowDifferences:
    """What differs between two flows on `U` common units."""

    share_a: NDArray[np.float64]
    """`[U]`: influence of a unit from the first layer on, as a share of all; 0 where A has no such unit."""
    share_b: NDArray[np.float64]
    """`[U]`: the same for B."""
    only_a: NDArray[np.intp]
    """`[R]`: units that only A's ring holds at each depth that both have, from the first below the root outwards."""
    only_b: NDArray[np.intp]
    """`[R]`: only B's."""
    shared: NDArray[np.intp]
    """`[R]`: both."""

    @property
    def change(self) -> NDArray[np.float64]:
        """`[U]`: share in B less that in A."""
        return self.share_b - self.share_a

    @property
    def ring_distance(self) -> NDArray[np.float64]:
        """`[R]`: 1 - Jaccard overlap of the two rings; 0 where both are empty."""
        differing = self.only_a + self.only_b
        return differing / np.maximum(differing + self.shared, 1)


def flow_differences(flows: FlowPair) -> FlowDifferences:
    """Compare the influence of every unit and the tokens of every ring.

    Args:
        flows: The flows of two models on common units.

    Reference:
        Influence: DeRose, Wang and Berger, "Attention Flows", eq. 4, here as a share because the numbers of heads of
        two models may differ. Overlap of sets: Jaccard.
    """
    pairing = flows.pairing
    share_a, share_b = (_share(one, place) for one, place in ((flows.a, pairing.in_a), (flows.b, pairing.in_b)))
    depth = min(one.graph.n_layers for one in (flows.a, flows.b))
    a, b = unit_rings(flows.a, pairing.in_a)[1 : depth + 1], unit_rings(flows.b, pairing.in_b)[1 : depth + 1]
    only_a, only_b, shared = (np.count_nonzero(units, axis=1) for units in (a & ~b, b & ~a, a & b))
    return FlowDifferences(share_a, share_b, only_a, only_b, shared)


def carrier(one: Flow, token: int) -> Carrier | None:
    """The head that attends most to a token in the first ring that holds it, going out from the decision.

    Args:
        one: The flow of a model.
        token: A token of this model.

    Returns:
        None if no ring holds it, or only as it passes through the layers of a decoder.
    """
    graph = one.graph
    to_it = np.flatnonzero((graph.key == token) & graph.heads.any(axis=1))
    if not len(to_it):
        return None
    layer = int(graph.layer[to_it].max())
    edges = to_it[graph.layer[to_it] == layer]
    if layer == graph.n_layers - 1 and isinstance(graph.root, tuple):
        paid = one.trace.edges[layer][:, tokens_of(graph.root), token].mean(axis=1)
        paid = np.where(graph.heads[edges].any(axis=0), paid, -np.inf)
        return Carrier((layer, int(np.argmax(paid))), graph.root, float(paid.max()))
    edge, head = np.unravel_index(np.argmax(graph.weights[edges]), graph.weights[edges].shape)
    return Carrier((layer, int(head)), int(graph.query[edges[edge]]), float(graph.weights[edges[edge], head]))


def _share(one: Flow, place: NDArray[np.int32]) -> NDArray[np.float64]:
    influence = np.where(place >= 0, one.influence[0][place], 0.0)
    total = influence.sum()
    return influence / total if total > 0 else influence
