"""Decoders with latent attention run as transformers runs them; one whose sizes contradict is refused at loading."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers import CONFIG_MAPPING

from attnflow import UnsupportedArchitectureError, capture, encode, load_checkpoint
from tests.checkpoints import PAIR, make_tokenizer

pytestmark = pytest.mark.usefixtures("empty_caches")

LATENT = {"q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8}
EXPERTS = {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1, "moe_intermediate_size": 16}
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}


def with_latent_attention(folder, kind, **sizes):
    """A random decoder whose keys and values come from a narrow vector, as DeepSeek's."""
    tokenizer = make_tokenizer("causal")
    made: Any = CONFIG_MAPPING[kind]  # each class with parameters of its own
    config = made(
        **{
            **SMALL,
            "num_key_value_heads": 4,
            "vocab_size": len(tokenizer),
            "initializer_range": 0.3,
            **LATENT,
            **EXPERTS,
        },
        **sizes,
        pad_token_id=1,
        max_position_embeddings=160,
    )
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", ["deepseek_v2", "deepseek_v3", "minicpm3", "mistral4"])
def test_latent_attention_is_that_of_transformers(kind, tmp_path):
    checkpoint = load_checkpoint(with_latent_attention(tmp_path, kind))
    encoding = encode(checkpoint, *PAIR)
    plain = transformers.AutoModel.from_pretrained(tmp_path, attn_implementation="eager").eval()
    with torch.inference_mode():
        found = plain(torch.from_numpy(encoding.inputs["input_ids"])[None], output_attentions=True)
    trace = capture(checkpoint, encoding)
    np.testing.assert_allclose(trace.attention, torch.cat(found.attentions), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(trace.hidden[-1], found.last_hidden_state[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("kind", "width"), [("deepseek_v3", 4), ("mistral4", 8)])
def test_a_model_that_transformers_cannot_run_is_refused_when_it_is_loaded(kind, width, tmp_path):
    """The width of a head, of which only a part is rotated, contradicts the width of that part."""
    folder = with_latent_attention(tmp_path, kind, head_dim=width)
    plain = transformers.AutoModel.from_pretrained(folder)
    with pytest.raises(RuntimeError, match="size of tensor"):
        plain(torch.tensor([[7, 8, 9]]))
    with pytest.raises(UnsupportedArchitectureError, match=r"but cannot run it .*size of tensor"):
        load_checkpoint(folder)
