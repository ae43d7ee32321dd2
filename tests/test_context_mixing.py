"""Norm rollout and Value Zeroing beyond their columns in the table of architectures: theorems, refusals, no traces."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModel

from attnflow import SelectionError, UnsupportedArchitectureError, encode, load_checkpoint, saliency
from attnflow.methods.saliency import context_mixing
from attnflow.methods.saliency.methods import METHODS
from attnflow.methods.saliency.report import report
from attnflow.runtime import attention_hook, layers, residual_path, rest_of_layer
from attnflow.runtime.capture import model_inputs
from attnflow.stats.rollout import rolled_out
from tests import reference
from tests.checkpoints import MORE_ARCHITECTURES, N_HEADS, N_LAYERS, PAIR, Architecture, make_checkpoint

BOTH = ("norm_rollout", "value_zeroing")
PRUNED = [(0, 1), (1, 0), (1, 3), (2, 2)]


def ask(checkpoint, method, **options):
    return saliency(checkpoint, encode(checkpoint, *PAIR), method=method, **options).values


def test_a_rollout_equals_its_definition_and_sums_to_1():
    rng = np.random.default_rng(0)
    tables = [rng.random((5, 5)) for _ in range(3)]
    tables[1][2] = 0  # a token that nothing is written for owes all to itself
    for root in (4, (0, 3)):
        found = rolled_out(tables, root)
        roots = [root] if isinstance(root, int) else list(root)
        np.testing.assert_allclose(found, reference.rolled_shares(tables, roots))
        assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize("method", BOTH)
def test_pruned_heads_write_nothing(checkpoints, method):
    checkpoint = checkpoints["bert"]
    model = copy.deepcopy(checkpoint.model)
    with torch.no_grad():
        for layer, head in PRUNED:
            weight = model.bert.encoder.layer[layer].attention.output.dense.weight
            weight.unflatten(1, (N_HEADS, -1))[:, head] = 0
    expected = ask(replace(checkpoint, model=model), method)
    found = ask(checkpoint, method, pruned=PRUNED)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert np.abs(found - ask(checkpoint, method)).max() > 1e-3
    everything = ask(checkpoint, method, pruned=np.ndindex(N_LAYERS, N_HEADS))
    np.testing.assert_allclose(everything, np.eye(len(found))[0], atol=1e-6)  # the root owes all to itself


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_tokens_zeroed_in_small_batches_are_as_in_one(checkpoints, name, monkeypatch):
    together = ask(checkpoints[name], "value_zeroing")
    monkeypatch.setattr(rest_of_layer, "_ROWS_AT_ONCE", 1)
    np.testing.assert_allclose(ask(checkpoints[name], "value_zeroing"), together, rtol=1e-4, atol=1e-6)


def test_nothing_is_left_behind_by_what_ends_halfway(checkpoints, monkeypatch):
    checkpoint = checkpoints["gpt2"]
    before = {name: weight.clone() for name, weight in checkpoint.model.state_dict().items()}
    expected = [ask(checkpoint, method) for method in BOTH]

    def fail(*_):
        raise ValueError("halfway")

    for owner, name, method in (
        (context_mixing, "leaving_as_it_is", "value_zeroing"),
        (residual_path._Follow, "left", "norm_rollout"),
        (rest_of_layer, "for_each_head", "norm_rollout"),
    ):
        monkeypatch.setattr(owner, name, fail)
        with pytest.raises(ValueError, match="halfway"):
            ask(checkpoint, method)
        monkeypatch.undo()
        assert attention_hook.active() is None and layers._plan.get() is None
    for method, values in zip(BOTH, expected, strict=True):
        np.testing.assert_array_equal(ask(checkpoint, method), values)
    assert all(torch.equal(weight, before[name]) for name, weight in checkpoint.model.state_dict().items())


class Mixing(torch.nn.Module):
    """Adds to each token the mean of all."""

    def forward(self, x):
        return x + x.mean(1, keepdim=True)


class Gated(torch.nn.Module):
    """Gives a token a factor of its own in every dimension."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        y = self.inner(x)
        return y * y.sigmoid()


def changed(checkpoint, change):
    model = copy.deepcopy(checkpoint.model)
    for layer in model.bert.encoder.layer:
        change(layer)
    return replace(checkpoint, model=model, name="lab/other")


def test_what_an_architecture_does_not_allow_is_refused_with_the_reason(checkpoints):
    def mix(layer):
        layer.intermediate.intermediate_act_fn = Mixing()

    def gate(layer):
        layer.output.dropout = Gated(layer.output.dropout)
        layer.attention.output.dropout = Gated(layer.attention.output.dropout)

    mixing, gated = (changed(checkpoints["bert"], change) for change in (mix, gate))
    with pytest.raises(UnsupportedArchitectureError, match="layer 1 of lab/other does after its attention does not"):
        ask(mixing, "value_zeroing")
    with pytest.raises(UnsupportedArchitectureError, match=r"lab/other cannot be told in layer 1: .* rule for .*sigm"):
        ask(gated, "norm_rollout")
    assert ask(gated, "value_zeroing").sum() == pytest.approx(1)
    told = report(gated, encode(gated, *PAIR), methods=BOTH)
    assert [one.method.name for one in told.answers] == ["value_zeroing"]
    assert "there is no rule for" in told.absent(METHODS["norm_rollout"])


def test_heads_whose_values_are_not_seen_are_refused_by_both(tmp_path):
    checkpoint = load_checkpoint(make_checkpoint(tmp_path, "bert"))
    dense = checkpoint.model.bert.encoder.layer[1].attention.output.dense
    handle = dense.register_forward_pre_hook(lambda _, args: (2 * args[0],))
    for method in BOTH:
        with pytest.raises(UnsupportedArchitectureError, match="cannot be told: no linear map takes the outputs"):
            ask(checkpoint, method)
    handle.remove()
    with pytest.raises(SelectionError, match="is not a head"):
        ask(checkpoint, "value_zeroing", pruned=[(9, 9)])


def test_pairs_one_by_one_give_what_all_at_once_give(checkpoints, monkeypatch):
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, *PAIR)
    whole = saliency(checkpoint, encoding, method="value_zeroing").values
    monkeypatch.setattr("attnflow.methods.saliency.context_mixing._PAIRS_AT_ONCE", 7)
    np.testing.assert_allclose(saliency(checkpoint, encoding, method="value_zeroing").values, whole, rtol=1e-5)


def test_a_layer_that_adds_to_what_it_computes_before_its_attention_is_changed_as_any_other(monkeypatch, tmp_path):
    """MobileBERT, whose layers go through bottlenecks; each is run once for each token whose value is zeroed."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32}
    sizes |= {"embedding_size": 16, "intra_bottleneck_size": 16, "num_feedforward_networks": 2}
    monkeypatch.setitem(MORE_ARCHITECTURES, "mobilebert", Architecture("mobilebert", "wordpiece", "", sizes))
    folder = make_checkpoint(tmp_path / "x", "mobilebert")
    checkpoint = load_checkpoint(folder, dtype="float64")
    encoding = encode(checkpoint, "Anna sold it.")
    size, model = len(encoding.tokens), AutoModel.from_pretrained(folder).double().eval()
    left = []
    for layer in model.encoder.layer:
        layer.register_forward_hook(lambda _, __, output: left.append(output.detach()))
    with torch.no_grad():
        model(**model_inputs(encoding))
        whole, without = torch.cat(left), []
        for index, layer in enumerate(model.encoder.layer):
            left.clear()
            zeroed = (1 - torch.eye(size, dtype=torch.float64))[..., None]
            handle = layer.attention.self.value.register_forward_hook(lambda _, __, value, by=zeroed: value * by)
            model(**model_inputs(encoding, size))
            handle.remove()
            without.append(left[index])
    changes = reference.value_zeroing(whole.numpy(), torch.stack(without).numpy())
    expected = reference.rolled_shares(changes, [0])
    found = saliency(checkpoint, encoding, method="value_zeroing").values
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)
