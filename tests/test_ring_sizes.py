"""How many tokens each ring holds at every threshold: equal to the graphs that are built with each of them."""

from __future__ import annotations

import numpy as np
import pytest

from attnflow import SelectionError, attention_graph
from attnflow.stats.ring_sizes import ring_limits, ring_sizes
from tests import reference
from tests.checkpoints import ARCHITECTURES
from tests.random_traces import random_trace

TAUS = [0, 0.05, 0.1, 0.2, 0.35, 0.6, 0.95]
CHOSEN = [{}, {"root": 0}, {"root": (0, 2)}, {"heads": [(0, 1), (1, 0), (2, 3), (3, 2)]}, {"hidden": [0, 2]}]


@pytest.mark.parametrize("size", [3, 12])
@pytest.mark.parametrize("chosen", CHOSEN)
def test_sizes_are_those_of_the_definition(size, chosen):
    for seed in range(5):
        trace = random_trace(seed, 4, 4, size, concentration=0.1)
        found = ring_sizes(ring_limits(trace, **chosen), TAUS)
        assert found.tolist() == reference.ring_sizes(trace.attention, TAUS, **{"root": trace.root, **chosen})


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_limits_say_which_tokens_the_graph_holds(name, traces):
    trace = traces[name]
    limits = ring_limits(trace)
    for tau in (*TAUS, float(trace.attention[0, 0, -1, 0])):  # also where attention equals the threshold
        np.testing.assert_array_equal(limits > np.float32(tau), attention_graph(trace, tau).rings)


def test_rings_only_lose_tokens_as_the_threshold_rises_and_pruned_heads_do_not_count():
    trace = random_trace(0, 3, 2, 20, pruned=frozenset({(1, 0), (1, 1)}))
    sizes = ring_sizes(ring_limits(trace), np.arange(96) / 100)
    assert (np.diff(sizes, axis=0) <= 0).all()
    assert (sizes[:, -1] == 1).all()
    assert (sizes[:, :2] == 0).all(), "no head of the middle layer is on"


def test_what_is_out_of_range_is_refused():
    with pytest.raises(SelectionError, match="hidden token"):
        ring_limits(random_trace(0, 1, 1, 3), hidden=[3])
