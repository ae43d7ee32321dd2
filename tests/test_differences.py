"""What differs between two flows is what a loop over its definition finds."""

from __future__ import annotations

import numpy as np
import pytest

from attnflow import attention_graph
from attnflow.stats.differences import carrier, flow_differences
from attnflow.stats.flow import compare_flows, flow, unit_rings
from tests.random_traces import random_trace


@pytest.fixture(params=[(3, 3), (5, 3)], ids=["same depth", "other depths"])
def flows(request):
    return compare_flows(*(random_trace(seed, depth, 4, 20) for seed, depth in enumerate(request.param)))


def test_shares_are_influence_of_the_first_layer_over_its_sum(flows):
    found = flow_differences(flows)
    for share, one in ((found.share_a, flows.a), (found.share_b, flows.b)):
        total = sum(one.influence[0])
        assert share == pytest.approx([value / total for value in one.influence[0]])
        assert share.sum() == pytest.approx(1)
    assert found.change == pytest.approx(found.share_b - found.share_a)


def test_rings_are_compared_from_the_decision_outwards(flows):
    found = flow_differences(flows).ring_distance
    depth = min(one.graph.n_layers for one in (flows.a, flows.b))
    expected = []
    for below in range(1, depth + 1):
        a, b = (set(np.flatnonzero(one.graph.rings[one.graph.n_layers - below])) for one in (flows.a, flows.b))
        expected.append(1 - len(a & b) / len(a | b))
    assert found == pytest.approx(expected)
    assert 0 < found.max() <= 1


def test_the_same_flow_does_not_differ():
    one = random_trace(0, 3, 4, 20)
    found = flow_differences(compare_flows(one, one))
    assert not found.change.any() and not found.ring_distance.any()


def test_units_that_only_one_ring_holds_are_counted_for_their_model():
    pair = compare_flows(*(random_trace(seed, 3, 4, 20, concentration=c) for seed, c in ((0, 0.05), (1, 0.5))), 0.3)
    found = flow_differences(pair)
    for below in range(3):
        a, b = (set(np.flatnonzero(one.graph.rings[2 - below])) for one in (pair.a, pair.b))
        assert (found.only_a[below], found.only_b[below], found.shared[below]) == (len(a - b), len(b - a), len(a & b))
    assert (found.only_a != found.only_b).any()


def test_a_ring_lacks_the_units_that_its_model_lacks():
    one = flow(random_trace(0, 2, 2, 6), 0.0)
    place = np.array([0, 3, -1, 5, -1], np.int32)
    found = unit_rings(one, place)
    for ring, units in zip(one.graph.rings[::-1], found, strict=True):
        assert units.tolist() == [token >= 0 and bool(ring[token]) for token in place.tolist()]
    assert one.graph.rings[0].all(), "so the last token is there, whose place -1 would name"


def test_empty_rings_do_not_differ_and_have_no_shares():
    pair = compare_flows(*(random_trace(seed, 3, 2, 20, concentration=50) for seed in (0, 1)), 0.9)
    found = flow_differences(pair)
    assert not found.share_a.any() and not found.ring_distance.any()


def test_the_carrier_is_the_strongest_head_where_a_token_is_first_reached():
    one = flow(random_trace(3, 4, 4, 20))
    edges = list(zip(one.graph.layer, one.graph.query, one.graph.key, one.graph.weights, strict=True))
    for token in range(20):
        found = carrier(one, token)
        reached = [layer for layer, _, key, _ in edges if key == token]
        if not reached:
            assert found is None
            continue
        inner = max(reached)
        weight, head, query = max(
            (weights[h], h, q) for layer, q, key, weights in edges if (layer, key) == (inner, token) for h in range(4)
        )
        assert found is not None
        assert (found.head, found.query, found.weight) == ((inner, head), query, pytest.approx(weight))


def test_a_token_that_is_never_reached_has_no_carrier():
    trace = random_trace(0, 2, 2, 20, concentration=50)
    assert not attention_graph(trace, 0.9).rings[:-1].any()
    assert carrier(flow(trace, 0.9), 4) is None
