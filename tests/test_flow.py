"""Flows of one trace and of two: the first threshold, roots, heads, and what hidden tokens take."""

from __future__ import annotations

import numpy as np
import pytest

from attnflow import SelectionError
from attnflow.stats.flow import compare_flows, flow
from tests import reference
from tests.random_traces import random_trace


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
