"""Sweeps: any sets of gates, run together, give what each gives in a pass of its own."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from attnflow import encode, load_checkpoint
from attnflow.methods.heads import sweeps
from attnflow.methods.heads.sweeps import Sweep, single_removals
from attnflow.methods.objective import reads_one_position
from attnflow.methods.score_function import ask
from attnflow.runtime import attention_hook
from attnflow.runtime.capture import model_inputs
from tests.checkpoints import ARCHITECTURES, N_HEADS, N_LAYERS, PAIR, make_checkpoint


def some_gates():
    """Single removals, random sets, nothing and everything, in no order."""
    whole = torch.ones(N_LAYERS, N_HEADS)
    random = (torch.rand(20, N_LAYERS, N_HEADS, generator=torch.Generator().manual_seed(0)) > 0.4).float()
    gates = torch.cat((single_removals(whole), random, whole[None], torch.zeros_like(whole)[None]))
    return gates[torch.randperm(len(gates), generator=torch.Generator().manual_seed(1))]


def one_by_one(checkpoint, encoding, gates):
    found = []
    for row in gates:
        with torch.inference_mode(), attention_hook.record(row):
            found.append(checkpoint.model(**model_inputs(encoding)).logits[0])
    return torch.stack(found)


def collect(sweep, gates):
    result = torch.full((len(gates), 3), torch.nan)
    seen = []
    for rows, output in sweep.outputs(gates):
        result[rows] = output.clone()
        seen += rows.tolist()
    assert sorted(seen) == list(range(len(gates)))
    return result


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_rows_that_run_together_give_what_each_gives_alone(checkpoints, name, monkeypatch):
    checkpoint = checkpoints[name]
    encoding, gates = encode(checkpoint, *PAIR), some_gates()
    expected = one_by_one(checkpoint, encoding, gates)
    # In one pass, and in many; computing everything, and only what is needed, as in models of more than toy size.
    for most, width in ((1536, 0), (5 * len(encoding.tokens), 0), (1536, 256)):
        monkeypatch.setattr(sweeps, "MOST_TOKENS", most)
        monkeypatch.setattr(sweeps, "SPARING_WIDTH", width)
        sweep = Sweep(checkpoint, encoding)
        torch.testing.assert_close(collect(sweep, gates), expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(collect(sweep, gates[:9]), expected[:9], rtol=1e-4, atol=1e-5)
        whole = torch.ones(1, N_LAYERS, N_HEADS)
        torch.testing.assert_close(sweep.base, one_by_one(checkpoint, encoding, whole), rtol=1e-4, atol=1e-5)


def test_a_model_whose_batch_is_another_axis_is_spared_nothing(tmp_path, monkeypatch):
    """XLNet's layers take [T, B, D], which looks like [B, T, D] where there are as many rows as tokens."""
    monkeypatch.setattr(sweeps, "SPARING_WIDTH", 0)
    monkeypatch.setattr(sweeps, "MOST_TOKENS", 10**6)  # all in one pass
    checkpoint = load_checkpoint(make_checkpoint(tmp_path / "xlnet", "xlnet"))
    encoding, gates = encode(checkpoint, *PAIR), some_gates()
    rows = gates.repeat(2, 1, 1)[: len(encoding.tokens) - 1]  # the untouched text is one more
    found = collect(Sweep(checkpoint, encoding), rows)
    torch.testing.assert_close(found, one_by_one(checkpoint, encoding, rows), rtol=1e-4, atol=1e-5)


def test_a_layer_that_writes_into_what_it_was_given_is_spared_nothing(checkpoints, monkeypatch):
    """After the last attention all positions of a spared map are one piece of memory, which nobody may write to."""
    import copy

    monkeypatch.setattr(sweeps, "SPARING_WIDTH", 0)
    model = copy.deepcopy(checkpoints["bert"].model)
    model.bert.encoder.layer[-1].intermediate.dense.register_forward_hook(lambda module, x, y: y.mul_(2))
    checkpoint = dataclasses.replace(checkpoints["bert"], model=model)
    encoding, gates = encode(checkpoint, *PAIR), some_gates()
    assert not reads_one_position(checkpoint, encoding)
    expected = one_by_one(checkpoint, encoding, gates)
    torch.testing.assert_close(collect(Sweep(checkpoint, encoding), gates), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("text", ["Anna gave the book <pad>", "Anna gave the book"])
def test_a_text_that_ends_in_padding_is_read_where_the_model_reads_it(checkpoints, text, monkeypatch):
    monkeypatch.setattr(sweeps, "SPARING_WIDTH", 0)
    checkpoint, gates = checkpoints["gpt2"], some_gates()
    assert checkpoint.tokenizer.tokenizer.pad_token == "<pad>"
    collect(Sweep(checkpoint, encode(checkpoint, "A text before.")), gates[:3])
    encoding = encode(checkpoint, text)
    expected = one_by_one(checkpoint, encoding, gates)
    torch.testing.assert_close(collect(Sweep(checkpoint, encoding), gates), expected, rtol=1e-4, atol=1e-5)
    question = ask(checkpoint, encoding, "yes")
    nothing = np.zeros((1, len(encoding.tokens)), bool)
    assert question.scores(nothing)[0] == pytest.approx(question.score, abs=1e-5)


@pytest.mark.parametrize("name", ["bert", "albert", "gpt2"])
def test_a_model_that_allows_no_short_cut_gives_the_same(checkpoints, name, monkeypatch):
    checkpoint = checkpoints[name]
    encoding, gates = encode(checkpoint, *PAIR), some_gates()
    expected = one_by_one(checkpoint, encoding, gates)
    for steerable in (True, False):
        monkeypatch.setattr(sweeps, "rows_may_join", lambda *_, **__: False)
        monkeypatch.setattr(sweeps, "reads_one_position", lambda *_: False)
        plain = dataclasses.replace(checkpoint, steerable=steerable)
        torch.testing.assert_close(collect(Sweep(plain, encoding), gates), expected, rtol=1e-4, atol=1e-5)


def test_a_model_that_pools_all_positions_is_found_out(checkpoints, monkeypatch):
    """ModernBERT can classify by the mean of all positions, so none of them may be spared."""
    import copy

    monkeypatch.setattr(sweeps, "SPARING_WIDTH", 0)
    checkpoint = checkpoints["modernbert"]
    model = copy.deepcopy(checkpoint.model)
    model.config.classifier_pooling = "mean"
    pooled = dataclasses.replace(checkpoint, model=model)
    encoding, gates = encode(checkpoint, *PAIR), some_gates()
    sweep = Sweep(pooled, encoding)
    assert not reads_one_position(pooled, encoding) and reads_one_position(checkpoint, encoding)
    torch.testing.assert_close(collect(sweep, gates), one_by_one(pooled, encoding, gates), rtol=1e-4, atol=1e-5)


def test_removals_on_top_of_a_pruned_set(checkpoints):
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, *PAIR)
    pruned = [(0, 1), (2, 3)]
    sweep = Sweep(checkpoint, encoding, "yes", pruned)
    gates = torch.ones(N_LAYERS, N_HEADS)
    gates[0, 1] = gates[2, 3] = 0
    scores = one_by_one(checkpoint, encoding, torch.cat((gates[None], single_removals(gates))))
    losses = -scores.log_softmax(-1)[:, 2]
    expected = (losses[1:] - losses[0]).reshape(N_LAYERS, N_HEADS).numpy()
    assert expected[0, 1] == 0
    np.testing.assert_allclose(sweep.ablations(), expected, rtol=1e-4, atol=2e-6)


def test_work_is_spared(checkpoints, monkeypatch):
    """Rows of each layer, counted: each joins at the layer where it differs, later passes skip the layers before."""
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, *PAIR)
    sweep = Sweep(checkpoint, encoding)
    ran = []
    eager = attention_hook.eager_function

    def counted(module_class):
        def forward(module, query, *rest, **options):
            ran.append(len(query))
            return eager(module_class)(module, query, *rest, **options)

        return forward

    monkeypatch.setattr(attention_hook, "eager_function", counted)
    sweep.ablations()
    assert ran == [1 + N_HEADS, 1 + 2 * N_HEADS, 1 + 3 * N_HEADS]
    ran.clear()
    last = torch.ones(2, N_LAYERS, N_HEADS)
    last[:, -1, :2] = 0
    sweep.losses(last)
    assert ran == [2]
