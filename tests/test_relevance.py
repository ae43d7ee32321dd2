"""Relevance propagation: every rule against its textbook form, conservation, and nothing left behind."""

from __future__ import annotations

import copy
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import CONFIG_MAPPING, AutoModelForSequenceClassification
from transformers.activations import ACT2FN

from attnflow import UnsupportedArchitectureError, capture, encode, load_checkpoint, saliency
from attnflow.methods.saliency import relevance
from attnflow.methods.saliency.methods import METHODS
from attnflow.methods.saliency.report import report
from attnflow.runtime import activations
from attnflow.runtime.capture import model_inputs
from tests import reference
from tests.checkpoints import ARCHITECTURES, PAIR, make_checkpoint, make_tokenizer
from tests.explicit_relevance import explicit_relevance


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
    for layer in (first, last):
        layer.requires_grad_(False)  # as every loaded model is: what requires a gradient depends on the text
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


@pytest.mark.parametrize("name", sorted(ACT2FN))
def test_every_activation_that_a_configuration_can_name_passes_relevance_on(rng, name):
    x, start = np.append(rng.normal(size=6), 0.0), np.append(rng.normal(size=6), 0.0)
    act = torch.nn.Sequential(copy.deepcopy(ACT2FN[name])).double()
    plain = act(torch.from_numpy(x)).detach()
    activations.install(act.requires_grad_(False))
    leaf = torch.tensor(x, requires_grad=True)
    with relevance.rules("constant"):
        output = act(leaf)
    torch.testing.assert_close(output.detach(), plain)
    nothing = (plain == 0) | (leaf == 0)  # where there is no input, nothing can be handed to it
    seed = torch.where(nothing, 0, torch.from_numpy(start) / plain).detach()
    (gradient,) = torch.autograd.grad(output, leaf, seed)
    np.testing.assert_allclose((leaf * gradient).detach().numpy(), np.where(nothing.detach(), 0, start), rtol=1e-9)


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


FUSED = (
    lambda c, x, y: torch.baddbmm(c[None], x[None], y[None])[0],
    lambda c, x, y: c[None].baddbmm(batch1=x[None], batch2=y[None])[0],  # as Bloom writes it
    lambda c, x, y: torch.addbmm(c, x[None], y[None]),
    lambda c, x, y: torch.addmm(c, mat1=x, mat2=y),
    lambda c, x, y: torch.einsum("ij,jk->ik", x, y) + c,
    lambda c, x, y: torch.einsum("ij,jk->ik", [x, y]) + c,
)


@pytest.mark.parametrize("function", FUSED)
def test_a_product_with_something_added_is_halved_all_the_same(rng, function):
    """The weights' share of `c + a v` is that of `a v`: `R_ji = sum_p a_ji v_ip / 2 (R / o)_jp`."""
    a, v, c, start = rng.normal(size=(3, 4)), rng.normal(size=(4, 2)), rng.normal(size=(3, 2)), rng.normal(size=(3, 2))
    output = a @ v + c
    expected = reference.lrp_matmul(a, v, start / output * (a @ v))
    constant = torch.from_numpy(c)
    given, bias, value = propagate(lambda x, y: function(constant, x, y), a, v, start=start)
    np.testing.assert_allclose(value, output)
    for one, other in zip(given, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8)
    assert bias == 0, "what is added to scores is not a bias of the model"
    to_c = propagate(function, c, a, v, start=start)[0][0]
    np.testing.assert_allclose(to_c, c / output * start, rtol=1e-8)
    weight = torch.from_numpy(v)
    (given,), share, _ = propagate(lambda x: function(constant, x, weight), a, start=start)
    rows = [reference.lrp_linear(a[j], v.T, c[j], start[j]) for j in range(3)]
    np.testing.assert_allclose(given, rows, rtol=1e-8)
    assert share == pytest.approx(0 if "einsum" in function.__code__.co_names else start.sum() - np.sum(rows))


def test_what_a_bias_joins_depends_on_the_text_no_more_than_before(rng):
    """DeBERTa maps its constant positions with a bias; the product with a query is the query's alone."""
    x, positions, start = rng.normal(size=(3, 4)), rng.normal(size=(5, 4)), rng.normal(size=(3, 5))
    w, b = torch.from_numpy(rng.normal(size=(4, 4))), torch.from_numpy(rng.normal(size=4))
    for made in (
        lambda p: F.linear(p, w, b),
        lambda p: torch.addmm(b, p, w.T),
        lambda p: F.layer_norm(p, (4,), w[0], b),
    ):
        key = made(torch.from_numpy(positions))
        (given,), _, _ = propagate(lambda q, made=made: q @ made(torch.from_numpy(positions)).T, x, start=start)
        expected = [reference.lrp_linear(x[i], key.numpy(), np.zeros(5), start[i]) for i in range(3)]
        np.testing.assert_allclose(given, expected, rtol=1e-8)


def in_place(change):
    """A function that changes a copy of its first input in place, also through a view, and returns the copy."""

    def function(x, *others):
        copy = x * 1.0
        change(copy.view(-1), *others)
        return copy

    return function


IN_PLACE = {
    "mul_": (lambda a, b: a.mul_(b), torch.mul),
    "imul": (lambda a, b: a.__imul__(b), torch.mul),
    "div_": (lambda a, b: a.div_(b), torch.div),
    "itruediv": (lambda a, b: a.__itruediv__(b), torch.div),
    "add_": (lambda a, b: a.add_(b), torch.add),
    "isub": (lambda a, b: a.__isub__(b), torch.sub),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_a_change_in_place_is_the_operation_itself(rng, name):
    change, beside = IN_PLACE[name]
    a, b, start = rng.normal(size=(3, 5))
    constant = torch.from_numpy(b)
    for found, expected in (
        (propagate(in_place(change), a, b, start=start), propagate(beside, a, b, start=start)),
        (
            propagate(in_place(lambda x: change(x, constant)), a, start=start),
            propagate(lambda x: beside(x, constant), a, start=start),
        ),
    ):
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
        np.testing.assert_allclose(found[2], expected[2])


def test_an_activation_in_place_is_the_activation(rng):
    """As OLMo clips queries, keys and values."""
    a, start = rng.normal(size=(2, 3, 5))
    found = propagate(in_place(lambda x: x.clamp_(min=-0.5, max=0.5)), a, start=start)
    expected = propagate(lambda x: torch.clamp(x, -0.5, 0.5), a, start=start)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
    np.testing.assert_allclose(found[2], expected[2])


WRITTEN_OUT = {
    "gelu": (lambda x: x * 0.5 * (1 + torch.erf(x / 2**0.5)), F.gelu),
    "gelu, other order": (lambda x: (torch.erf(x.div(2**0.5)) + 1).mul(x.float().double()) / 2, None),
    "gelu by tanh": (
        lambda x: 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * torch.pow(x, 3.0)))),
        lambda x: F.gelu(x, approximate="tanh"),
    ),
    "quick gelu": (lambda x: x * torch.sigmoid(1.702 * x), None),
    "mish": (lambda x: x * torch.tanh(F.softplus(x)), F.mish),
    "squared relu": (lambda x: torch.square(F.relu(x)), None),
    "squared relu as a product": (lambda x: F.relu(x) * F.relu(x), None),
    "softsign": (lambda x: x / (1 + torch.sqrt(x * x)), F.softsign),
    "soft cap": (lambda x: 5 * torch.tanh(x / 5), None),
}


@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_an_activation_that_is_written_out_is_one_step(rng, name):
    function, known = WRITTEN_OUT[name]
    x, start = rng.normal(size=(2, 6)).astype(np.float32).astype(float)
    value = function(torch.from_numpy(x)).numpy()
    if known:
        np.testing.assert_allclose(value, known(torch.from_numpy(x)), rtol=1e-5)
    start = np.where(value == 0, 0, start)
    leaf = torch.tensor(x, requires_grad=True)
    with relevance.rules("bilinear"):
        output = function(leaf)
    seed = torch.where(output == 0, 0, torch.from_numpy(start) / output.detach())
    (gradient,) = torch.autograd.grad(output, leaf, seed)
    np.testing.assert_allclose(output.detach(), value, rtol=1e-12)
    np.testing.assert_allclose((leaf * gradient).detach(), start, rtol=1e-5, atol=1e-12)


def test_a_tensor_that_was_changed_is_not_taken_for_what_it_was_made_of(rng):
    x, y = rng.normal(size=(2, 4))

    def function(x, y):
        gate = torch.sigmoid(x)
        gate.copy_(y)  # now it is another factor
        return x * gate

    (to_x, to_y), _, value = propagate(function, x, y)
    np.testing.assert_allclose((to_x, to_y), (value / 2, value / 2))


class Doubled(torch.autograd.Function):
    """An operation whose gradient is its author's own."""

    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, gradient):
        return gradient


WITHOUT_RULE = {
    "torch.Tensor.exp": lambda x: x.exp(),
    "torch.exp": torch.exp,
    "torch.Tensor.abs": lambda x: x.abs(),
    "torch.nn.functional.log_softmax": lambda x: F.log_softmax(x, -1),
    "torch.nn.functional.gumbel_softmax": lambda x: F.gumbel_softmax(x, dim=-1),
    "torch.nn.functional.scaled_dot_product_attention": lambda x: F.scaled_dot_product_attention(x, x, x),
    "torch.nn.functional.normalize": lambda x: F.normalize(x),
    "torch.nn.functional.glu": lambda x: F.glu(x),
    "torch.nn.functional.bilinear": lambda x: F.bilinear(x, x, torch.ones(1, 4, 4).double()),
    "torch.Tensor.amax": lambda x: x.amax(-1),
    "torch.maximum": lambda x: torch.maximum(x, torch.zeros(())),
    "torch.topk": lambda x: torch.topk(x, 2),
    "torch.cumprod": lambda x: torch.cumprod(x, 0),
    "torch.addcmul": lambda x: torch.addcmul(x, x, x),
    "torch.Tensor.var": lambda x: x.var(),
    "torch.linalg.vector_norm": lambda x: torch.linalg.vector_norm(x),
    "torch.Tensor.__rtruediv__": lambda x: 1 / x,
    "torch.div by what depends": lambda x: torch.div(torch.ones(()), x),
    "torch.Tensor.relu_": lambda x: (x * 1).relu_(),
    "torch.nn.functional.relu in place": lambda x: F.relu(x * 1, inplace=True),
    "torch.Tensor.baddbmm_": lambda x: (x * 1)[None].baddbmm_(x[None], x[None]),
    "an exponent that depends": lambda x: torch.pow(2.0, x),
    "aten.erf": torch.ops.aten.erf,
    "torch.clamp of two tensors": lambda x: torch.clamp(x, min=x / 2),
    "of more than two": lambda x: torch.einsum("ij,jk,kl->il", x, x, x),
    "weights of its own for each text": lambda x: F.linear(x, x),
    "the function Doubled": Doubled.apply,
}


@pytest.mark.parametrize("operation", WITHOUT_RULE)
def test_an_operation_without_a_rule_is_refused_by_name(rng, operation):
    function = WITHOUT_RULE[operation]
    x = torch.tensor(rng.normal(size=(4, 4)), requires_grad=True)

    def run():
        with relevance.rules("bilinear", "LabModel (lab/model)") as rules:
            rules.check(function(x * 1.5) * 1)

    with pytest.raises(UnsupportedArchitectureError) as refused:
        run()
    for part in ("LabModel (lab/model)", operation, "choose another method"):
        assert part in str(refused.value)
    with relevance.rules("bilinear"):
        function(x.detach() * 1.5)  # what does not depend on the text may be anything


class Exotic(torch.nn.Module):
    def forward(self, x):
        return x.exp()


def test_a_model_without_a_rule_is_refused_and_left_as_it_was(checkpoints):
    model = copy.deepcopy(checkpoints["bert"].model)
    for layer in model.bert.encoder.layer:
        layer.intermediate.intermediate_act_fn = Exotic()
    checkpoint = replace(checkpoints["bert"], model=model, name="lab/exotic")
    encoding = encode(checkpoint, *PAIR)
    before = saliency(checkpoint, encoding, target="yes", method="input_gradient").values
    for method in ("lrp", "attn_lrp"):
        with pytest.raises(UnsupportedArchitectureError, match=r"BertForSequenceClassification \(lab/exotic\).*exp"):
            saliency(checkpoint, encoding, target="yes", method=method)
    np.testing.assert_array_equal(saliency(checkpoint, encoding, target="yes", method="input_gradient").values, before)
    found = report(checkpoint, encoding, target="yes")
    assert list(found.refused) == ["LRP (attention fixed)", "AttnLRP"] and len(found.answers) == len(METHODS) - 2
    assert "there is no rule for torch.Tensor.exp" in found.absent(METHODS["lrp"])
    assert found.verdict.endswith("Not to be had of this model: LRP (attention fixed), AttnLRP.")


def test_models_that_share_an_activation_load_one_after_the_other(tmp_path):
    """The first GPT takes its activation from a list of transformers, so all its models have the same one."""
    found = [
        load_checkpoint(make_checkpoint(tmp_path / str(seed), "openai-gpt", seed=seed)).model.base_model.h[0].mlp.act
        for seed in (0, 1)
    ]
    assert type(found[0]) is type(found[1])


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


@pytest.mark.parametrize(("method", "rule"), [("lrp", "constant"), ("attn_lrp", "bilinear")])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_a_model_that_reads_pictures_too_equals_its_transcription(pooling, method, rule, tmp_path):
    """ModernVBERT, whose text goes through a model inside the model, and whose layers look near and far in turn."""
    sizes = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48}
    tokens = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
    biases = dict.fromkeys(("attention_bias", "mlp_bias", "norm_bias", "classifier_bias"), True)
    windows = {"num_hidden_layers": 3, "local_attention": 8, "global_attn_every_n_layers": 2}
    config = CONFIG_MAPPING["modernvbert"](
        text_config={"model_type": "modernbert", "vocab_size": 400, **windows, **biases, **sizes, **tokens},
        vision_config={"num_hidden_layers": 2, "image_size": 32, "patch_size": 8, **sizes},
        vocab_size=400,
        classifier_pooling=pooling,
    )
    torch.manual_seed(0)
    made = AutoModelForSequenceClassification.from_config(config)
    for parameter in made.parameters():
        parameter.data.normal_(std=0.3)
    made.save_pretrained(tmp_path)
    make_tokenizer("wordpiece").save_pretrained(tmp_path)
    checkpoint = load_checkpoint(tmp_path, dtype="float64")
    encoding = encode(checkpoint, *PAIR)
    made = AutoModelForSequenceClassification.from_pretrained(tmp_path, attn_implementation="eager").double().eval()
    made.requires_grad_(False)
    first = made.model.text_model.layers[0]
    expected, score = explicit_relevance(made, first, model_inputs(encoding), 1, rule)
    found = saliency(checkpoint, encoding, target=1, method=method)
    np.testing.assert_allclose(found.values, expected, rtol=1e-6, atol=1e-8 * np.abs(expected).max())
    assert found.total == pytest.approx(score, rel=1e-9)
    size = np.abs(found.values).sum() + abs(found.bias_share)
    assert (abs(found.residual) < 1e-9 * size) == (rule == "constant")


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
