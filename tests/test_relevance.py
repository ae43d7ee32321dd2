"""Relevance propagation: every rule against its textbook form, conservation, and nothing left behind."""

from __future__ import annotations

import copy
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers.activations import ACT2FN

from attnflow import capture, encode, saliency
from attnflow.methods.saliency import relevance
from attnflow.runtime import activations
from attnflow.runtime.capture import model_inputs
from tests import reference
from tests.checkpoints import ARCHITECTURES, PAIR


def propagate(function, *inputs, rule="constant", start=None):
    """Relevance of each input, of the biases, and the output, by the rules under test."""
    leaves = [torch.tensor(np.asarray(x), dtype=torch.float64, requires_grad=True) for x in inputs]
    with relevance.rules(rule) as rules:
        output = function(*leaves)
    # The relevance of an output is the output times what follows: `start` is given as relevance.
    seed = torch.ones_like(output) if start is None else torch.as_tensor(start) / output.detach()
    *gradients, bias = torch.autograd.grad(output, [*leaves, rules.bias_scale], seed, allow_unused=True)
    given = [(x * (0 if g is None else g)).detach().numpy() for x, g in zip(leaves, gradients, strict=True)]
    return given, 0.0 if bias is None else float(bias), output.detach().numpy()


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_a_network_worked_out_by_hand():
    """x = (2, -1); hidden = relu(2 + 1 + 1, 4 - 1, 2 - 4) = (4, 3, 0); score = 2 * 4 - 3 + 3 = 8.

    Relevance of the hidden units: 8, -3, 0; of the last bias 3. The first unit is 2 + 1 + bias 1 = 4, so it hands on
    8 / 4 of each: 4, 2 and bias 2. The second is 4 - 1 = 3: -4 and 1. So the tokens get 0 and 3, the biases 5.
    """
    first, last = torch.nn.Linear(2, 3).double(), torch.nn.Linear(3, 1).double()
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, -1], [2, 1], [1, 4]]))
        first.bias.copy_(torch.tensor([1.0, 0, 0]))
        last.weight.copy_(torch.tensor([[2.0, -1, 5]]))
        last.bias.fill_(3)
    (given,), bias, output = propagate(lambda x: last(F.relu(first(x))), [2.0, -1.0])
    assert output == 8
    np.testing.assert_allclose(given, [0, 3], atol=1e-12)
    assert bias == pytest.approx(5)


def test_linear_maps_and_their_biases(rng):
    x, weight, bias, start = rng.normal(size=5), rng.normal(size=(4, 5)), rng.normal(size=4), rng.normal(size=4)
    w, b = torch.from_numpy(weight), torch.from_numpy(bias)
    expected = reference.lrp_linear(x, weight, bias, start)
    for function in (
        lambda t: F.linear(t, w, b),
        lambda t: torch.addmm(b, t[None], w.T)[0],  # GPT-2's
    ):
        (given,), share, _ = propagate(function, x, start=start)
        np.testing.assert_allclose(given, expected, rtol=1e-10)
        assert share == pytest.approx(start.sum() - expected.sum())


def test_normalisations_have_a_constant_scale(rng):
    x, gain, bias, start = rng.normal(size=(4, 6))
    g, b = torch.from_numpy(gain), torch.from_numpy(bias)
    (given,), _, value = propagate(lambda t: F.layer_norm(t, (6,), g, b, 1e-5), x, start=start)
    np.testing.assert_allclose(given, reference.lrp_layer_norm(x, gain, bias, 1e-5, start), rtol=1e-9)
    np.testing.assert_allclose(value, F.layer_norm(torch.from_numpy(x), (6,), g, b, 1e-5))
    for function in (
        lambda t: F.rms_norm(t, (6,), g, 1e-6),
        lambda t: t * torch.rsqrt(t.pow(2).mean(-1, keepdim=True) + 1e-6) * g,
        lambda t: t * (t**2).mean(-1, keepdim=True).add(1e-6).pow(-0.5) * g,
    ):
        (given,), _, value = propagate(function, x, start=start)
        np.testing.assert_allclose(given, start, rtol=1e-9)  # each entry is scaled by itself, so it keeps its own
        np.testing.assert_allclose(value, x / np.sqrt((x**2).mean() + 1e-6) * gain)


@pytest.mark.parametrize("name", ["gelu", "gelu_new", "gelu_fast", "quick_gelu", "gelu_python", "silu", "relu", "tanh"])
def test_activations_pass_relevance_on(rng, name):
    x, start = np.append(rng.normal(size=6), 0.0), np.append(rng.normal(size=6), 0.0)
    act = torch.nn.Sequential(copy.deepcopy(ACT2FN[name]))
    plain = act(torch.from_numpy(x))
    activations.install(act)
    leaf = torch.tensor(x, requires_grad=True)
    with relevance.rules("constant"):
        output = act(leaf)
    torch.testing.assert_close(output.detach(), plain)
    seed = torch.where(plain == 0, torch.zeros(()).double(), torch.from_numpy(start) / plain)
    (gradient,) = torch.autograd.grad(output, leaf, seed)
    np.testing.assert_allclose((leaf * gradient).detach().numpy(), np.where(plain == 0, 0, start), rtol=1e-9)


def test_a_product_of_two_dependent_factors_is_halved(rng):
    a, b, start = rng.normal(size=(3, 5))
    (to_a, to_b), _, _ = propagate(lambda x, y: x * y, a, b, start=start)
    np.testing.assert_allclose(to_a, start / 2)
    np.testing.assert_allclose(to_b, start / 2)
    (to_a, to_b), _, _ = propagate(lambda x, y: x / y, a, b, start=start)  # a divisor is a scale
    np.testing.assert_allclose((to_a, to_b), (start, np.zeros(5)), atol=1e-12)


def test_attention_that_depends_on_the_text(rng):
    a, v, start = rng.normal(size=(3, 4)), rng.normal(size=(4, 2)), rng.normal(size=(3, 2))
    for function in (torch.matmul, lambda x, y: x @ y):
        given, _, _ = propagate(function, a, v, rule="bilinear", start=start)
        for one, expected in zip(given, reference.lrp_matmul(a, v, start), strict=True):
            np.testing.assert_allclose(one, expected, rtol=1e-8)
    x, start = rng.normal(size=5), rng.normal(size=5)
    (given,), _, _ = propagate(lambda t: F.softmax(t, dim=-1), x, rule="bilinear", start=start)
    np.testing.assert_allclose(given, reference.lrp_softmax(x, start), rtol=1e-8)


def test_attention_as_a_constant_hands_all_to_the_values(rng):
    scores, v = rng.normal(size=(3, 3)), rng.normal(size=(3, 2))
    (to_scores, to_v), _, output = propagate(lambda s, t: F.softmax(s, -1) @ t, scores, v)
    assert not to_scores.any()
    np.testing.assert_allclose(to_v.sum(), output.sum())


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="attention is 'halved'"), relevance.rules("halved"):
        pass


def test_a_whole_model_equals_its_transcription(checkpoints):
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, "Anna gave the book.", "He read it.")
    weights = {name: value.double().numpy() for name, value in checkpoint.model.state_dict().items()}
    hidden = capture(checkpoint, encoding).hidden[0].astype(float)
    expected, score = reference.lrp_bert(weights, hidden, checkpoint.n_layers, checkpoint.n_heads, target=2)
    found = saliency(checkpoint, encoding, target=2, method="lrp")
    np.testing.assert_allclose(found.values, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert found.total == pytest.approx(score, rel=1e-5)
    assert (found.values < 0).any() and (found.values > 0).any(), "signs are kept"


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_relevance_is_conserved_and_biases_take_the_rest(checkpoints, name):
    checkpoint = checkpoints[name]
    encoding = encode(checkpoint, *PAIR)
    found = saliency(checkpoint, encoding, target="yes", method="lrp")
    size = np.abs(found.values).sum() + abs(found.bias_share)
    assert abs(found.residual) < 1e-5 * size
    with torch.inference_mode():
        score = float(checkpoint.model(**model_inputs(encoding)).logits[0, 2])
    assert found.total == pytest.approx(score, rel=1e-4, abs=1e-4), "the rules change a value"
    model = copy.deepcopy(checkpoint.model)
    biases = [p for n, p in model.named_parameters() if n.endswith("bias")]
    for parameter in biases:
        parameter.data.zero_()
    without = saliency(replace(checkpoint, model=model), encoding, target="yes", method="lrp")
    assert without.bias_share == 0
    assert abs(without.values.sum() - without.total) < 1e-4 * np.abs(without.values).sum()
    assert (found.bias_share != 0) == bool(biases)


def test_the_other_rule_says_what_is_missing(checkpoints):
    found = saliency(checkpoints["bert"], encode(checkpoints["bert"], *PAIR), target="yes", method="attn_lrp")
    assert found.values.sum() + found.bias_share + found.residual == pytest.approx(found.total)
    assert abs(found.residual) > 1e-3, "it is not scaled away"
    assert not np.allclose(
        found.values,
        saliency(checkpoints["bert"], encode(checkpoints["bert"], *PAIR), target="yes", method="lrp").values,
    )


def test_rules_are_seen_by_their_own_thread_alone_and_end_after_an_exception(checkpoints):
    checkpoint = checkpoints["gpt2"]  # whose activation is several operations
    inputs = model_inputs(encode(checkpoint, *PAIR))

    def gradient():
        leaf = checkpoint.model.get_input_embeddings()(inputs["input_ids"]).requires_grad_()
        rest = {name: values for name, values in inputs.items() if name != "input_ids"}
        output = checkpoint.model(inputs_embeds=leaf, **rest).logits
        return torch.autograd.grad(output[0, 1], leaf)[0]

    before, inside, elsewhere = gradient(), [], []

    def disturbed():
        with relevance.rules("constant"):
            inside.append(gradient())
            other = threading.Thread(target=lambda: elsewhere.append(gradient()))
            other.start()
            other.join(60)
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        disturbed()
    assert not torch.allclose(inside[0], before)
    assert torch.equal(elsewhere[0], before)
    assert torch.equal(gradient(), before)
