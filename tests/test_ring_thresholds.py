"""Thresholds by layer: equal to their definition, no ring empty, equal attention never parted."""

from __future__ import annotations

import numpy as np
import pytest

import attnflow
from attnflow import SelectionError, attention_graph, ring_tau
from attnflow.stats.flow import compare_flows, flow
from attnflow.views import thresholds
from tests import reference
from tests.random_traces import random_trace


def rings(graph):
    return [set(np.flatnonzero(ring).tolist()) for ring in graph.rings]


@pytest.mark.parametrize("size", [1, 3, 12, 60])
@pytest.mark.parametrize("chosen", [{}, {"root": 0}, {"heads": [(0, 1), (1, 0), (2, 3), (3, 2)]}, {"hidden": [0]}])
def test_each_threshold_is_that_of_the_definition(size, chosen):
    for seed in range(5):
        trace = random_trace(seed, 4, 4, size, concentration=0.1)
        if chosen.get("hidden") and size == 1:
            continue
        found = ring_tau(trace, **chosen)
        expected, expected_rings = reference.ring_tau(trace.attention, **{"root": trace.root, **chosen})
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-12)
        assert rings(attention_graph(trace, found, **chosen)) == expected_rings


def test_no_ring_is_empty_and_none_holds_more_than_it_should():
    for seed in range(20):
        graph = attention_graph(trace := random_trace(seed, 8, 6, 80, concentration=0.02), ring_tau(trace))
        assert graph.rings.sum(axis=1).tolist() == [24, 24, 24, 24, 20, 15, 10, 5, 1]


def test_equal_attention_stays_out_together_and_comes_in_where_the_ring_would_be_empty():
    weights = np.zeros((2, 1, 9, 9))
    weights[1, 0, :, :] = np.array([8, 4, 4, 2, 2, 2, 1, 1, 1]) / 25  # the fifth and the sixth are equal
    weights[0, 0, :, :] = 1 / 9  # all are
    trace = random_trace(0, 2, 1, 9, attention=weights)
    graph = attention_graph(trace, ring_tau(trace))
    assert rings(graph) == [set(range(9)), {0, 1, 2}, {0}]
    assert graph.tau == pytest.approx([1 / 18, 3 / 25]), "halfway to the equal ones that stay out"


def test_neighbouring_numbers_are_told_apart():
    close = np.full(9, np.float32(0.1))
    close[:5] = np.nextafter(np.float32(0.1), np.float32(1))
    trace = random_trace(0, 1, 1, 9, attention=np.broadcast_to(close, (1, 1, 9, 9)))
    assert rings(attention_graph(trace, ring_tau(trace)))[0] == {0, 1, 2, 3, 4}


def test_pruned_heads_do_not_count_and_a_layer_without_heads_ends_the_graph():
    trace = random_trace(0, 3, 2, 30, pruned=frozenset({(1, 0), (1, 1)}))
    found = ring_tau(trace)
    graph = attention_graph(trace, found)
    assert found[1] == 0
    assert graph.ends_at == 1
    assert "ends at L2" in thresholds.end_note(graph)


@pytest.mark.parametrize(
    ("tau", "says"),
    [
        ([0.1], "tau has 1 numbers; give one, or one for each of the 3 layers"),
        ([0.1, 0.2, 1], "tau is 1; give a number from 0 to below 1"),
        ([0.1, np.nan, 0.2], "tau is nan"),
        ("0.1", "tau is '0.1'"),
        ([True, 0.1, 0.1], "tau is True"),
    ],
)
def test_a_threshold_that_is_none_is_refused(tau, says):
    with pytest.raises(SelectionError, match=says.replace("(", r"\(")):
        attention_graph(random_trace(0, 3, 2, 5), tau)


def test_one_number_is_the_same_as_that_number_for_each_layer():
    trace = random_trace(0, 3, 2, 12)
    one, each = attention_graph(trace, 0.2), attention_graph(trace, [0.2, 0.2, 0.2])
    for name in ("rings", "layer", "query", "key", "heads", "weights", "tau"):
        assert np.array_equal(getattr(one, name), getattr(each, name))
    mixed = attention_graph(trace, [0.3, 0.1, 0.2])
    assert rings(mixed) == reference.attention_graph(trace.attention, [0.3, 0.1, 0.2], 0)[0]


def test_each_model_of_a_comparison_gets_its_own():
    a, b = random_trace(0, 3, 2, 30), random_trace(1, 5, 4, 30, concentration=0.05)
    flows = compare_flows(a, b)
    assert np.array_equal(flows.a.graph.tau, ring_tau(a))
    assert np.array_equal(flows.b.graph.tau, ring_tau(b))
    hidden = flow(b, hide_special=True, heads=iter([(4, 0), (3, 1), (2, 2), (1, 1), (0, 0)]))
    assert not hidden.graph.rings[:-1, 0].any()
    assert hidden.graph.rings.any(axis=1).all()


def test_thresholds_are_told_in_words():
    trace = random_trace(0, 2, 2, 12)
    assert thresholds.told(attention_graph(trace, 0.25)) == "tau = 0.25"
    graph = attention_graph(trace, [0.512, 0.25])
    assert thresholds.told(graph) == "Thresholds by layer, from the decision to the words: 0.25, 0.51"
    both = thresholds.told(graph, attention_graph(trace, 0.25))
    assert both.endswith("words: A 0.25, 0.51; B 0.25, 0.25")
    assert thresholds.single(attention_graph(trace, 0.25).tau) == 0.25
    assert thresholds.single(graph.tau) is None


def test_the_name_is_the_librarys():
    assert "ring_tau" in attnflow.__all__
