"""Rotary positions that change with the length of a text are transformers' own, whatever was read before or beside."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from attnflow import capture, encode, hidden_token_attribution, load_checkpoint, saliency
from attnflow.runtime.capabilities import padding_allowed
from attnflow.runtime.capture import model_inputs
from tests.checkpoints import PAIR, TEXT, edited_config, make_checkpoint

pytestmark = pytest.mark.usefixtures("empty_caches")

LONG = {"rope_type": "longrope", "short_factor": [1.0, 1.2, 1.3, 1.4], "long_factor": [2.0, 3.0, 4.0, 5.0]}
KINDS = {
    "longrope": {**LONG, "rope_theta": 1e4, "original_max_position_embeddings": 16},
    "dynamic": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4},
}
TEXTS = [("Anna gave it.", None), (TEXT[0], TEXT[1]), PAIR, ("He read it.", None)]
"""Shorter and longer than what the positions were made for, in turn."""


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory):
    told = {"rope_parameters": KINDS[request.param], "original_max_position_embeddings": 16}
    made = make_checkpoint(
        tmp_path_factory.mktemp("whole"),
        "phi3" if request.param == "longrope" else "llama",
        task="causal-lm",
        **told,
    )
    positions = 160 if request.param == "longrope" else 16
    return edited_config(made, tmp_path_factory.mktemp("at") / "x", max_position_embeddings=positions)


def expected_of(folder, encoding):
    """What a model of transformers that has read nothing yet gives."""
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    with torch.inference_mode():
        return torch.cat(model(**model_inputs(encoding), output_attentions=True).attentions).numpy()


def loaded(folder):
    """With texts of any length: those that are longer than the table of positions are what is tested."""
    checkpoint = load_checkpoint(folder)
    object.__setattr__(checkpoint, "max_tokens", None)
    return checkpoint


def test_each_text_is_read_as_if_it_were_the_first(folder):
    checkpoint = loaded(folder)
    encodings = [encode(checkpoint, *pair) for pair in TEXTS]
    sizes = [len(encoding.tokens) for encoding in encodings]
    assert min(sizes) < 16 < max(sizes)
    expected = [expected_of(folder, encoding) for encoding in encodings]
    for encoding, attention in zip(encodings, expected, strict=True):
        np.testing.assert_allclose(capture(checkpoint, encoding).attention, attention, rtol=1e-4, atol=1e-5)
    assert not padding_allowed(checkpoint)
    for trace, attention in zip(capture(checkpoint, encodings), expected, strict=True):
        np.testing.assert_allclose(trace.attention, attention, rtol=1e-4, atol=1e-5)
    with ThreadPoolExecutor(4) as pool:
        traces = list(pool.map(lambda one: capture(checkpoint, one), encodings * 8))
        for trace, attention in zip(traces, expected * 8, strict=True):
            np.testing.assert_allclose(trace.attention, attention, rtol=1e-4, atol=1e-5)


def test_nothing_is_left_changed_and_all_can_be_differentiated(folder):
    checkpoint = loaded(folder)
    before = {name: buffer.clone() for name, buffer in checkpoint.model.named_buffers()}
    encoding = encode(checkpoint, *PAIR)
    for wrt in ("previous_layer", "input"):
        found = hidden_token_attribution(checkpoint, encoding, wrt=wrt, probes=2 if wrt == "input" else None)
        np.testing.assert_allclose(found.values.sum(-1), 1, rtol=1e-4)
    assert np.isfinite(saliency(checkpoint, encoding, method="lrp").values).all()
    for name, buffer in checkpoint.model.named_buffers():
        assert torch.equal(buffer, before[name]), name
