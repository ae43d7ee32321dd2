"""A checkpoint with random weights but the embeddings that were learnt, of every architecture."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from torch import nn

from attnflow import capture, encode, load_checkpoint
from attnflow.checkpoints.random_weights import random_weights
from tests.checkpoints import ARCHITECTURES, MORE_ARCHITECTURES, PAIR, make_checkpoint


def check(trained):
    before = {name: values.detach().clone() for name, values in trained.model.named_parameters()}
    one, same, other = (random_weights(trained, seed, keep_embeddings=True) for seed in (1, 1, 2))
    assert all(torch.equal(values, before[name]) for name, values in trained.model.named_parameters())
    modules = [module for module in one.model.modules() if isinstance(module, nn.Embedding)]
    tables = {id(values) for module in modules for values in module.parameters()}
    changed = 0
    for (name, drawn), again, unlike in zip(
        one.model.named_parameters(), same.model.parameters(), other.model.parameters(), strict=True
    ):
        assert torch.equal(drawn, again), name
        if id(drawn) in tables:
            assert torch.equal(drawn, before[name]), name
        elif drawn.ndim > 1 and drawn.unique().numel() > 1:
            assert not torch.equal(drawn, before[name]) and not torch.equal(drawn, unlike), name
            changed += 1
    assert tables and changed
    assert len({one.key, other.key, trained.key, random_weights(trained, 1).key}) == 4
    found = capture(one, encode(one, *PAIR))
    np.testing.assert_allclose(found.attention.sum(-1), 1, rtol=1e-5)
    assert not np.allclose(found.attention, capture(trained, encode(trained, *PAIR)).attention, atol=1e-3)
    assert found.scores is None


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_all_but_embeddings_is_drawn_by_the_seed(name, checkpoints):
    check(checkpoints[name])


@pytest.mark.parametrize("name", MORE_ARCHITECTURES)
def test_so_it_is_of_other_architectures(name, tmp_path):
    task = "sequence-classification" if MORE_ARCHITECTURES[name].classifies else "none"
    check(load_checkpoint(make_checkpoint(tmp_path / name, name, task=task)))


def test_another_process_draws_the_same():
    drawn = random_weights(load_checkpoint("demo/finetuned"), 3, keep_embeddings=True)
    again = pickle.loads(pickle.dumps(drawn))
    assert again.key == drawn.key
    pairs = zip(drawn.model.parameters(), again.model.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
