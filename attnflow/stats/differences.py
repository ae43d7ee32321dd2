"""What differs between the attention flows of two models: words, the heads that carry them, and rings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnflow.records.root import Root, tokens_of
from attnflow.records.trace import Head
from attnflow.stats.flow import Flow, FlowPair


@dataclass(frozen=True)
class Carrier:
    """The head through which a word comes closest to the decision."""

    head: Head
    query: Root
    """The token that attends to the word, counted in the model's own tokens; the root, where that is several."""
    weight: float
    """Its attention, 0 to 1; that of a root of several tokens is their mean."""


@dataclass(frozen=True)
class FlowDifferences:
    """What differs between two flows on `U` common units."""

    share_a: NDArray[np.float64]
    """`[U]`: influence of a unit from the first layer on, as a share of all; 0 where A has no such unit."""
    share_b: NDArray[np.float64]
    """`[U]`: the same for B."""
    ring_distance: NDArray[np.float64]
    """`[R]`: 1 - Jaccard overlap of the two rings at each depth, from the first below the root to the input."""

    @property
    def change(self) -> NDArray[np.float64]:
        """`[U]`: share in B less that in A."""
        return self.share_b - self.share_a


def flow_differences(flows: FlowPair) -> FlowDifferences:
    """Compare the influence of every unit and the tokens of every ring.

    Args:
        flows: The flows of two models on common units.

    Reference:
        Influence: DeRose, Wang and Berger, "Attention Flows", eq. 4, here as a share because the numbers of heads of
        two models may differ. Overlap of sets: Jaccard.
    """
    pairing = flows.pairing
    shares = [_share(one, place) for one, place in ((flows.a, pairing.in_a), (flows.b, pairing.in_b))]
    rings = [_rings(one, place) for one, place in ((flows.a, pairing.in_a), (flows.b, pairing.in_b))]
    depth = min(len(one) for one in rings)
    distance = [_distance(a, b) for a, b in zip(rings[0][:depth], rings[1][:depth], strict=True)]
    return FlowDifferences(*shares, np.asarray(distance))


def carrier(one: Flow, token: int) -> Carrier | None:
    """The head that attends most to a token in the first ring that holds it, going out from the decision.

    Args:
        one: The flow of a model.
        token: A token of this model.

    Returns:
        None if no ring holds it.
    """
    graph = one.graph
    to_it = np.flatnonzero(graph.key == token)
    if not len(to_it):
        return None
    layer = int(graph.layer[to_it].max())
    edges = to_it[graph.layer[to_it] == layer]
    if layer == graph.n_layers - 1 and isinstance(graph.root, tuple):
        paid = one.trace.attention[layer][:, tokens_of(graph.root), token].mean(axis=1)
        paid = np.where(graph.heads[edges].any(axis=0), paid, -np.inf)
        return Carrier((layer, int(np.argmax(paid))), graph.root, float(paid.max()))
    edge, head = np.unravel_index(np.argmax(graph.weights[edges]), graph.weights[edges].shape)
    return Carrier((layer, int(head)), int(graph.query[edges[edge]]), float(graph.weights[edges[edge], head]))


def _share(one: Flow, place: NDArray[np.int32]) -> NDArray[np.float64]:
    influence = np.where(place >= 0, one.influence[0][place], 0.0)
    total = influence.sum()
    return influence / total if total > 0 else influence


def _rings(one: Flow, place: NDArray[np.int32]) -> list[NDArray[np.bool_]]:
    """Units of each ring, from the first below the root outwards."""
    return [np.where(place >= 0, ring[place], False) for ring in one.graph.rings[-2::-1]]


def _distance(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    union = np.count_nonzero(a | b)
    return 1 - np.count_nonzero(a & b) / union if union else 0.0
