"""What models do beside and between their layers is followed, or what it would falsify is refused with the reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from attnflow import UnsupportedArchitectureError, capture, encode, hidden_token_attribution, load_checkpoint, saliency
from attnflow.checkpoints import architectures
from attnflow.runtime.capabilities import text_enters_once
from attnflow.runtime.capture import model_inputs
from tests.checkpoints import ARCHITECTURES, MORE_ARCHITECTURES, PAIR, Architecture, make_checkpoint
from tests.explicit_relevance import explicit_relevance

pytestmark = pytest.mark.usefixtures("empty_caches")


@pytest.fixture(scope="module")
def convolved(tmp_path_factory):
    """DeBERTa v2 as xlarge and xxlarge are: a convolution of the embeddings is added to what leaves the first layer."""
    folder = tmp_path_factory.mktemp("convolved")
    return make_checkpoint(folder, "deberta-v2", conv_kernel_size=3, conv_act="gelu")


def plain(folder):
    """The same as transformers itself runs it."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).double().eval()
    return model.requires_grad_(False)


@pytest.mark.parametrize(("method", "rule"), [("lrp", "constant"), ("attn_lrp", "bilinear")])
def test_relevance_goes_through_a_convolution_beside_the_first_layer(method, rule, convolved):
    checkpoint, model = load_checkpoint(convolved, dtype="float64"), plain(convolved)
    encoding = encode(checkpoint, *PAIR)
    expected, score = explicit_relevance(model, model.deberta.encoder, model_inputs(encoding), 1, rule)
    found = saliency(checkpoint, encoding, target=1, method=method)
    np.testing.assert_allclose(found.values, expected, rtol=1e-6, atol=1e-8 * np.abs(expected).max())
    assert found.total == pytest.approx(score, rel=1e-9)
    if rule == "constant":
        assert abs(found.residual) < 1e-9 * np.abs(found.values).sum()


def test_gradients_and_contributions_go_through_it(convolved):
    checkpoint, model = load_checkpoint(convolved, dtype="float64"), plain(convolved)
    encoding = encode(checkpoint, "it")
    seen = []
    model.deberta.encoder.register_forward_pre_hook(lambda _, args: (seen.append(args[0].requires_grad_()), None)[1])
    heads = []
    model.deberta.encoder.layer[-1].attention.output.dense.register_forward_pre_hook(
        lambda _, args: heads.append(args[0])
    )
    score = model(**model_inputs(encoding)).logits[0, 1]
    (gradient,) = torch.autograd.grad(score, seen[0], retain_graph=True)
    found = saliency(checkpoint, encoding, target=1, method="input_gradient")
    np.testing.assert_allclose(found.values, (gradient * seen[0])[0].sum(-1).detach(), rtol=1e-6, atol=1e-12)
    outputs = heads[0][0].unflatten(-1, (checkpoint.n_heads, -1))  # [T, H, K]
    rows = [torch.autograd.grad(one, seen[0], retain_graph=True)[0][0] for one in outputs.flatten()]
    squares = torch.stack(rows).square().sum(-1).view(*outputs.shape, -1).sum(2)  # [T, H, source]
    expected = squares.sqrt() / squares.sqrt().sum(-1, keepdim=True)
    contributions = hidden_token_attribution(checkpoint, encoding, wrt="input").values[-1]
    np.testing.assert_allclose(contributions, expected.transpose(0, 1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ["value_zeroing", "norm_rollout"])
def test_a_rollout_that_would_leave_it_out_is_refused(method, convolved):
    checkpoint = load_checkpoint(convolved)
    with pytest.raises(UnsupportedArchitectureError, match=r"What leaves layer 1 of .* is changed once more before it"):
        saliency(checkpoint, encode(checkpoint, *PAIR), method=method)


def refuses_what_the_input_does(checkpoint):
    """Whether nothing is said of the input, and all else is."""
    encoding = encode(checkpoint, *PAIR)
    assert not text_enters_once(checkpoint)
    for method in ("lrp", "input_gradient", "integrated_gradients", "occlusion", "hidden_token_attribution"):
        with pytest.raises(UnsupportedArchitectureError, match="reads its tokens again beside its first layer"):
            saliency(checkpoint, encoding, method=method)
    with pytest.raises(UnsupportedArchitectureError, match="contributions of the input would leave a part out"):
        hidden_token_attribution(checkpoint, encoding, wrt="input", probes=2)
    np.testing.assert_allclose(
        hidden_token_attribution(checkpoint, encoding, wrt="previous_layer").values.sum(-1), 1, rtol=1e-4
    )


def test_a_way_beside_the_first_layer_that_nobody_knows_of_is_found(convolved, monkeypatch):
    known = architectures.ARCHITECTURES["deberta-v2"]
    monkeypatch.setitem(architectures.ARCHITECTURES, "deberta-v2", replace(known, entered=None))
    refuses_what_the_input_does(load_checkpoint(convolved))


@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2", "llama", "gemma2", "modernbert", "albert"])
def test_no_such_way_is_found_where_none_is(name, checkpoints):
    assert text_enters_once(checkpoints[name])


# ---- architectures that transformers runs through its attention interface, and that do more than they seem to

SIZES = ARCHITECTURES["gemma2"].options
FOUR = {**SIZES, "num_kv_shared_layers": 0, "hidden_size_per_layer_input": 0, "global_head_dim": 8}
THREE = {
    **SIZES,
    "num_kv_shared_layers": 0,
    "hidden_size_per_layer_input": 8,
    "vocab_size_per_layer_input": 400,
    "layer_types": ["full_attention"] * 3,
    "activation_sparsity_pattern": [0.0] * 3,
    "laurel_rank": 4,
}


def made(monkeypatch, folder, model_type, options, task="causal-lm"):
    monkeypatch.setitem(MORE_ARCHITECTURES, model_type, Architecture(model_type, "causal", "", options))
    return load_checkpoint(make_checkpoint(folder, model_type, task=task))


def test_a_model_with_embeddings_for_each_layer_is_not_explained_by_what_enters_the_first(monkeypatch, tmp_path):
    own = {**FOUR, "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 400}
    refuses_what_the_input_does(made(monkeypatch, tmp_path / "x", "gemma4_text", own))
    checkpoint = made(monkeypatch, tmp_path / "y", "gemma4_text", FOUR)
    found = saliency(checkpoint, encode(checkpoint, *PAIR), method="lrp")
    assert abs(found.residual) < 1e-4 * np.abs(found.values).sum()


@pytest.mark.parametrize(
    ("model_type", "options", "reason"),
    [
        (
            "gpt_oss",
            {**SIZES, "num_local_experts": 4},
            r"a part of its attention goes to no token of the text \(a sink",
        ),
        ("gemma4_text", {**FOUR, "global_head_dim": 16}, r"its layers have heads of different widths \(8, 16\)"),
        ("gemma3n_text", THREE, "what enters and leaves its layers is not one vector for each token"),
    ],
)
def test_what_no_record_holds_is_refused_by_its_reason(model_type, options, reason, monkeypatch, tmp_path):
    checkpoint = made(monkeypatch, tmp_path / "x", model_type, options)
    texts = [encode(checkpoint, *PAIR), encode(checkpoint, "Anna gave it.")]
    for asked in (texts[0], texts):
        with pytest.raises(UnsupportedArchitectureError, match=reason):
            capture(checkpoint, asked)


def test_a_model_without_a_body_of_its_own_is_refused(monkeypatch, tmp_path):
    """Llama 4's text model alone, whose body transformers does not find."""
    options = {**SIZES, "intermediate_size_mlp": 48, "num_local_experts": 2}
    with pytest.raises(UnsupportedArchitectureError, match="does not tell the body of its Llama4ForCausalLM"):
        made(monkeypatch, tmp_path / "x", "llama4_text", options)


def test_a_model_that_reads_no_vectors_in_place_of_words_says_so(monkeypatch, tmp_path):
    """ESM Cambrian; what needs no baseline of words is told."""
    options = {**SIZES, "num_key_value_heads": 4}
    checkpoint = made(monkeypatch, tmp_path / "x", "esmc", options, "sequence-classification")
    encoding = encode(checkpoint, *PAIR)
    with pytest.raises(UnsupportedArchitectureError, match=r"reads no vectors in place of words .* baseline zero"):
        saliency(checkpoint, encoding, method="integrated_gradients", baseline="mean")
    assert np.isfinite(saliency(checkpoint, encoding, method="integrated_gradients", baseline="zero").values).all()
