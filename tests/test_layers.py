"""Steering: a forward pass that begins at a later layer gives the same, and leaves nothing behind."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForMaskedLM

from attnflow import capture, encode, load_checkpoint, saliency
from attnflow.methods.score_function import ask
from attnflow.runtime import attention_hook, layers
from attnflow.runtime.capture import model_inputs
from tests.checkpoints import ARCHITECTURES, N_LAYERS, PAIR, make_tokenizer


def run(checkpoint, encoding, copies=1):
    with torch.inference_mode(), attention_hook.record() as recording:
        output = checkpoint.model(**model_inputs(encoding, copies), output_hidden_states=True)
    return output, recording


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_pass_that_begins_later_gives_the_same(checkpoints, name):
    checkpoint = checkpoints[name]
    encoding = encode(checkpoint, *PAIR)
    full, all_layers = run(checkpoint, encoding)
    with torch.inference_mode():
        first = checkpoint.model(**model_inputs(encoding))  # a first pass of a fresh layer learns what it returns
    for start in range(N_LAYERS):
        with layers.steer(start=start, hidden=full.hidden_states[start].expand(2, -1, -1)):
            later, recording = run(checkpoint, encoding, copies=2)
        torch.testing.assert_close(later.logits, full.logits.expand(2, -1), rtol=1e-5, atol=1e-5)
        assert len(recording.attention) == N_LAYERS - start, "layers before the start were run"
        torch.testing.assert_close(recording.attention[-1][1:], all_layers.attention[-1], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(first.logits, full.logits)


@pytest.mark.parametrize("name", ["bert", "albert", "gemma2"])
def test_gates_keep_to_their_layer_when_layers_are_skipped(checkpoints, name):
    checkpoint = checkpoints[name]
    encoding = encode(checkpoint, *PAIR)
    full, _ = run(checkpoint, encoding)
    gates = torch.ones(N_LAYERS, checkpoint.n_heads)
    gates[-1, 1] = 0
    with torch.inference_mode(), attention_hook.record(gates):
        gated = checkpoint.model(**model_inputs(encoding)).logits
        with layers.steer(start=1, hidden=full.hidden_states[1]), attention_hook.record(gates):
            later = checkpoint.model(**model_inputs(encoding)).logits
    assert (gated - full.logits).abs().max() > 1e-3
    torch.testing.assert_close(later, gated, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["bert", "albert", "gpt2"])
def test_what_enters_a_layer_can_be_changed(checkpoints, name):
    checkpoint = checkpoints[name]
    encoding = encode(checkpoint, *PAIR)
    full, _ = run(checkpoint, encoding)
    seen = []

    def enter(layer, hidden):
        seen.append(layer)
        torch.testing.assert_close(hidden, full.hidden_states[layer], rtol=1e-5, atol=1e-5)
        return hidden

    with layers.steer(enter=enter):
        run(checkpoint, encoding)
    assert seen == list(range(N_LAYERS))
    with layers.steer(enter=lambda layer, hidden: hidden * (2 if layer == 1 else 1)):
        changed, _ = run(checkpoint, encoding)
    with layers.steer(start=1, hidden=2 * full.hidden_states[1]):
        expected, _ = run(checkpoint, encoding)
    torch.testing.assert_close(changed.logits, expected.logits)


def test_a_plan_ends_with_its_block_also_after_an_exception_and_is_not_seen_by_other_threads(checkpoints):
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, *PAIR)
    before, _ = run(checkpoint, encoding)
    elsewhere = []

    def fail(layer, hidden):
        other = threading.Thread(target=lambda: elsewhere.append(run(checkpoint, encoding)[0].logits))
        other.start()
        other.join(60)
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"), layers.steer(enter=fail):
        run(checkpoint, encoding)
    assert torch.equal(elsewhere[0], before.logits)
    assert torch.equal(run(checkpoint, encoding)[0].logits, before.logits)


def test_a_model_without_a_list_of_layers_cannot_be_steered():
    assert not layers.install(torch.nn.Sequential(torch.nn.Linear(2, 2)), n_layers=3)


def test_in_a_model_that_reads_pictures_too_the_layers_of_the_text_are_steered(tmp_path):
    sizes = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48}
    tokens = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
    tokenizer = make_tokenizer("wordpiece")
    config = CONFIG_MAPPING["modernvbert"](
        text_config={"model_type": "modernbert", "vocab_size": 400, "num_hidden_layers": 2, **sizes, **tokens},
        vision_config={"num_hidden_layers": 2, "image_size": 32, "patch_size": 8, **sizes},
        vocab_size=400,
        initializer_range=0.3,
    )
    AutoModelForMaskedLM.from_config(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    checkpoint = load_checkpoint(tmp_path)
    encoding = encode(checkpoint, "Anna [MASK] the book.")
    plain = AutoModelForMaskedLM.from_pretrained(tmp_path, attn_implementation="eager").eval()
    with torch.inference_mode():
        expected = plain(**model_inputs(encoding), output_attentions=True, output_hidden_states=True)
    trace = capture(checkpoint, encoding)
    np.testing.assert_allclose(trace.attention, torch.cat(expected.attentions), rtol=1e-4, atol=1e-5)
    question = ask(checkpoint, encoding)
    np.testing.assert_allclose(question.hidden, expected.hidden_states[0][0], rtol=1e-4, atol=1e-5)
    for method in ("lrp", "input_gradient", "integrated_gradients", "occlusion", "hidden_token_attribution"):
        assert np.isfinite(saliency(checkpoint, encoding, method=method).values).all(), method
