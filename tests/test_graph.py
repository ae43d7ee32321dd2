"""The attention graph, influence and reach: equal to loops over the definition, and the theorems they obey."""

from __future__ import annotations

import numpy as np
import pytest

from attnflow import SelectionError, attention_graph, influence, reach
from attnflow.stats.attention_graph import attended_by, paths_between
from tests import reference
from tests.random_traces import random_trace

CASES = pytest.mark.parametrize(
    ("seed", "n_layers", "n_heads", "size"), [(0, 3, 4, 7), (1, 5, 2, 5), (2, 1, 1, 3), (3, 2, 6, 9), (4, 4, 3, 1)]
)
TAUS = pytest.mark.parametrize("tau", [0, 0.05, 0.2, 0.35, 0.6, 0.95])


def as_sets(graph):
    """A graph in the form of the reference."""
    rings = [set(np.flatnonzero(ring).tolist()) for ring in graph.rings]
    edges = {
        (int(layer), int(query), int(key)): set(np.flatnonzero(heads).tolist())
        for layer, query, key, heads in zip(graph.layer, graph.query, graph.key, graph.heads, strict=True)
    }
    return rings, edges


def as_reach(graph, found):
    """A reach in the form of the reference."""
    edges = np.stack([graph.layer, graph.query, graph.key], axis=1)[found.edges]
    return {(int(r), int(t)) for r, t in np.argwhere(found.rings)}, {tuple(e) for e in edges.tolist()}


@CASES
@TAUS
def test_the_graph_is_that_of_the_definition(seed, n_layers, n_heads, size, tau):
    trace = random_trace(seed, n_layers, n_heads, size)
    for root in range(size):
        graph = attention_graph(trace, tau, root=root)
        assert as_sets(graph) == reference.attention_graph(trace.attention, tau, root)
        for layer, query, key, heads, weights in zip(
            graph.layer, graph.query, graph.key, graph.heads, graph.weights, strict=True
        ):
            np.testing.assert_array_equal(weights, np.where(heads, trace.attention[layer, :, query, key], 0))


@CASES
@TAUS
def test_influence_is_that_of_the_definition(seed, n_layers, n_heads, size, tau):
    trace = random_trace(seed, n_layers, n_heads, size)
    for alpha in (0.25, 0.5, 1):
        expected = reference.influence(trace.attention, tau, trace.root, alpha)
        np.testing.assert_allclose(influence(attention_graph(trace, tau), alpha), expected, rtol=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("tau", [0.1, 0.3])
def test_reach_is_that_of_the_definition(seed, tau):
    graph = attention_graph(random_trace(seed, 3, 3, 5), tau)
    rings, edges = as_sets(graph)
    for ring in range(4):
        for tokens in ({0}, {1}, {4}, {0, 1}, {1, 3}, {0, 2, 4}):
            for head in (None, 0, 2):
                found = as_reach(graph, reach(graph, ring, tokens, head=head))
                assert found == reference.reach(rings, edges, ring, tokens, head)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("tau", [0.1, 0.3])
def test_paths_between_are_those_of_the_definition(seed, tau):
    graph = attention_graph(random_trace(seed, 4, 3, 5), tau)
    rings, edges = as_sets(graph)
    for inner, outer in [(4, 3), (4, 0), (3, 1), (2, 0), (3, 2)]:
        for high in ({0}, {1, 2}, {0, 3, 4}):
            for low in ({0}, {2}, {1, 4}):
                expected = reference.paths_between(rings, edges, inner, high, outer, low)
                assert as_reach(graph, paths_between(graph, inner, high, outer, low)) == expected
                assert as_reach(graph, paths_between(graph, outer, low, inner, high)) == expected


def test_paths_within_one_ring_are_refused():
    with pytest.raises(SelectionError, match="from one ring to another"):
        paths_between(attention_graph(random_trace(0, 2, 3, 4)), 1, 0, 1, 2)


def test_hidden_tokens_join_no_ring():
    trace = random_trace(3, 3, 4, 7)
    graph = attention_graph(trace, 0.05, hidden=[0, 4])
    assert not graph.rings[:-1, [0, 4]].any()
    assert graph.rings[-1, 0]  # the root stays
    attention = trace.attention.copy()
    attention[..., [0, 4]] = 0
    assert as_sets(graph) == reference.attention_graph(attention, 0.05, 0)
    with pytest.raises(SelectionError, match="hidden token is 9"):
        attention_graph(trace, hidden=[9])


@CASES
def test_a_higher_threshold_only_takes_away(seed, n_layers, n_heads, size):
    trace = random_trace(seed, n_layers, n_heads, size)
    graphs = [attention_graph(trace, tau) for tau in (0, 0.1, 0.2, 0.3, 0.5, 0.8)]
    for lower, higher in zip(graphs, graphs[1:], strict=False):
        assert (higher.rings <= lower.rings).all()
        assert (attended_by(higher) <= attended_by(lower)).all()
        assert (influence(higher) <= influence(lower)).all()


@CASES
def test_a_single_head_counts_each_attending_token_at_most_once(seed, n_layers, n_heads, size):
    trace = random_trace(seed, n_layers, n_heads, size)
    for head in range(n_heads):
        graph = attention_graph(trace, 0.05, heads=[(layer, head) for layer in range(n_layers)])
        attending = graph.rings[1:].sum(axis=1, keepdims=True)
        assert (attended_by(graph) <= attending).all()
        assert graph.heads.sum() == len(graph.heads)


@CASES
def test_allowed_heads_are_those_of_the_definition(seed, n_layers, n_heads, size):
    trace = random_trace(seed, n_layers, n_heads, size)
    rng = np.random.default_rng(seed)
    allowed = {(int(a), int(b)) for a, b in np.argwhere(rng.random((n_layers, n_heads)) < 0.6)}
    expected = reference.attention_graph(trace.attention, 0.1, 0, allowed)
    assert as_sets(attention_graph(trace, 0.1, heads=allowed)) == expected


def test_strictly_greater_than_the_threshold():
    trace = random_trace(0, 1, 1, 4, attention=np.full((1, 1, 4, 4), 0.25))
    assert not attention_graph(trace, 0.25).rings[0].any()
    assert attention_graph(trace, 0.2499).rings[0].all()


def test_only_what_is_reached_from_the_root_belongs_to_the_graph():
    # Token 0 attends to itself only, so what tokens 1 and 2 attend to cannot matter to it.
    attention = np.zeros((2, 1, 3, 3))
    attention[:, 0] = [[1, 0, 0], [0, 0.5, 0.5], [0, 0.5, 0.5]]
    graph = attention_graph(random_trace(0, 2, 1, 3, attention=attention), 0.1)
    assert graph.rings.tolist() == [[True, False, False]] * 3
    assert influence(graph).tolist() == [[0.75, 0, 0], [1, 0, 0]]


def test_an_empty_ring_ends_the_graph_and_is_no_error():
    attention = np.full((3, 2, 4, 4), 0.25)
    attention[2, 0, 0] = [0.1, 0.7, 0.1, 0.1]
    graph = attention_graph(random_trace(0, 3, 2, 4, attention=attention), 0.5)
    assert graph.rings.sum(axis=1).tolist() == [0, 0, 1, 1]
    assert graph.ends_at == 1
    assert influence(graph).shape == (3, 4)
    assert not reach(graph, 0, 2).rings.any()
    assert attention_graph(random_trace(0, 3, 2, 4, attention=attention), 0.2).ends_at is None


def test_a_graph_without_any_edge_is_only_its_root():
    trace = random_trace(0, 2, 3, 5, attention=np.full((2, 3, 5, 5), 0.2))
    graph = attention_graph(trace, 0.9)
    assert graph.rings.sum() == 1
    assert graph.heads.shape == (0, 3)
    assert not influence(graph).any()


def test_pruned_heads_carry_no_edge():
    trace = random_trace(5, 2, 3, 5, pruned=frozenset({(0, 1), (1, 2)}))
    graph = attention_graph(trace, 0)
    assert not graph.heads[graph.layer == 0][:, 1].any()
    assert not graph.heads[graph.layer == 1][:, 2].any()
    assert graph.heads[graph.layer == 0][:, 0].all()


@pytest.mark.parametrize("tau", [-0.1, 1, 1.5, float("nan"), float("inf"), "0.1", None, True])
def test_a_threshold_out_of_range_is_refused(tau):
    with pytest.raises(SelectionError, match=r"tau is .*from 0 to below 1"):
        attention_graph(random_trace(0, 1, 1, 2), tau)


@pytest.mark.parametrize("alpha", [0, -1, 1.1, float("nan"), "x", None])
def test_a_decay_out_of_range_is_refused(alpha):
    with pytest.raises(SelectionError, match="alpha is"):
        influence(attention_graph(random_trace(0, 1, 1, 2)), alpha)


@pytest.mark.parametrize("root", [-1, 5, 1.0, "0", True])
def test_a_root_that_is_no_token_is_refused(root):
    with pytest.raises(SelectionError, match="from 0 to 4"):
        attention_graph(random_trace(0, 1, 1, 5), root=root)


@pytest.mark.parametrize("head", [(2, 0), (0, 3), (-1, 0)])
def test_an_allowed_head_that_does_not_exist_is_refused(head):
    with pytest.raises(SelectionError, match="not a head of this checkpoint"):
        attention_graph(random_trace(0, 2, 3, 4), heads=[head])


@pytest.mark.parametrize("place", [{"ring": 3}, {"tokens": 4}, {"tokens": [0, 9]}, {"head": 3}, {"ring": -1}])
def test_reach_from_a_place_that_does_not_exist_is_refused(place):
    graph = attention_graph(random_trace(0, 2, 3, 4))
    with pytest.raises(SelectionError, match=next(iter(place)).rstrip("s")):
        reach(graph, **{"ring": 1, "tokens": 0, **place})
