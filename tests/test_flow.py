"""Flows of one trace and of two: the first threshold, roots, heads, and what hidden tokens take."""

from __future__ import annotations

import numpy as np
import pytest

from attnflow import SelectionError
from attnflow.stats.alignment import pair_traces
from attnflow.stats.flow import LARGEST_RING, compare_flows, first_tau, flow
from tests import reference
from tests.random_traces import random_trace


def largest_ring(a, b, tau, **settings):
    flows = compare_flows(a, b, tau, **settings)
    return max(one.graph.rings.sum(axis=1).max() for one in (flows.a, flows.b))


@pytest.mark.parametrize("settings", [{}, {"root": 7}, {"hide_special": True}, {"heads": [(2, 0), (1, 3), (0, 5)]}])
def test_the_first_tau_is_the_smallest_step_that_keeps_every_ring_readable(settings):
    a, b = (random_trace(seed, 3, 8, 60, concentration=0.03) for seed in (0, 1))
    tau = first_tau(a, b, **settings)
    assert largest_ring(a, b, tau, **settings) <= LARGEST_RING
    assert tau == 0.05 or largest_ring(a, b, tau - 0.05, **settings) > LARGEST_RING


def test_a_short_pair_starts_with_the_smallest_step():
    a, b = (random_trace(seed, 3, 4, 20) for seed in (0, 1))
    assert first_tau(a, b) == 0.05


def test_a_pair_that_is_never_readable_starts_with_the_largest_step():
    sure = np.zeros((1, 30, 30, 30))
    sure[0, np.arange(30), :, np.arange(30)] = 1  # each head gives all to a token of its own
    trace = random_trace(0, 1, 30, 30, attention=sure)
    assert first_tau(trace, trace) == 0.95


def test_the_first_tau_pairs_the_traces_once_however_many_steps_it_takes(monkeypatch):
    times = []

    def counted(*arguments):
        times.append(arguments)
        return pair_traces(*arguments)

    monkeypatch.setattr("attnflow.stats.flow.pair_traces", counted)
    sure = np.zeros((1, 30, 30, 30))
    sure[0, np.arange(30), :, np.arange(30)] = 1
    trace = random_trace(0, 1, 30, 30, attention=sure)
    assert first_tau(trace, trace, unit="word") == 0.95, "all 19 steps were tried"
    assert len(times) == 1


def test_allowed_heads_are_aligned_at_the_root():
    deep, shallow = random_trace(0, 5, 4, 6), random_trace(1, 3, 2, 6)
    heads = [(4, 0), (3, 1), (2, 3), (1, 1)]
    flows = compare_flows(deep, shallow, 0.1, heads=heads)
    expected = reference.attention_graph(shallow.attention, 0.1, 0, {(2, 0), (1, 1)})
    assert [set(np.flatnonzero(ring).tolist()) for ring in flows.b.graph.rings] == expected[0]
    with pytest.raises(SelectionError, match="not a head"):
        compare_flows(deep, shallow, 0.1, heads=[(5, 0)])


def test_hidden_tokens_take_the_share_of_attention_that_is_told():
    trace = random_trace(2, 3, 2, 6)
    one = flow(trace, 0.1, hide_special=True)
    special = np.flatnonzero(trace.tokens.sentence == -1)
    total, count = 0.0, 0
    for layer in range(3):
        for head in range(2):
            for token in np.flatnonzero(one.graph.rings[layer + 1]):
                total += trace.attention[layer, head, token, special].sum()
                count += 1
    assert one.hidden_share == pytest.approx(total / count, rel=1e-5)
    assert flow(trace, 0.1).hidden_share is None


def test_a_unit_that_is_none_is_refused():
    with pytest.raises(SelectionError, match="'piece' or 'word'"):
        flow(random_trace(0, 1, 1, 3), 0.1, unit="letter")
