"""The table of architectures is all that must be known of one: a made-up entry is enough."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import CONFIG_MAPPING, AutoConfig, AutoModel, AutoModelForSequenceClassification, GPTJConfig
from transformers.models.gptj.modeling_gptj import GPTJForSequenceClassification, GPTJModel

from attnflow import UnsupportedArchitectureError, capture, encode, load_checkpoint
from attnflow.checkpoints.architectures import (
    ARCHITECTURES,
    Architecture,
    architecture,
    encoder_decoders,
    heads_per_key,
)
from attnflow.checkpoints.checkpoint import check_supported
from tests.checkpoints import N_HEADS, N_LAYERS, PAIR, WIDTH, make_checkpoint, make_tokenizer
from tests.pipelines import ALL


class MadeUpConfig(GPTJConfig):
    """An architecture that nobody knows."""

    model_type = "made_up"


class MadeUpModel(GPTJModel):
    """Its attention does not run through the interface."""

    config_class = MadeUpConfig


class MadeUpForSequenceClassification(GPTJForSequenceClassification):
    """Its classifier."""

    config_class = MadeUpConfig


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    """A folder with a small model of it."""
    AutoConfig.register("made_up", MadeUpConfig)
    AutoModel.register(MadeUpConfig, MadeUpModel)
    AutoModelForSequenceClassification.register(MadeUpConfig, MadeUpForSequenceClassification)
    folder, tokenizer = tmp_path_factory.mktemp("made-up"), make_tokenizer("causal")
    sizes = {"n_embd": WIDTH, "n_layer": N_LAYERS, "n_head": N_HEADS, "rotary_dim": 4, "n_positions": 160}
    config = MadeUpConfig(vocab_size=len(tokenizer), pad_token_id=1, num_labels=3, initializer_range=0.3, **sizes)
    torch.manual_seed(0)
    MadeUpForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    yield folder
    CONFIG_MAPPING._extra_content.pop("made_up")  # transformers has no way to take a registration back
    for auto_class in (AutoModel, AutoModelForSequenceClassification):
        auto_class._model_mapping._extra_content.pop(MadeUpConfig)


def test_one_entry_makes_an_architecture_known(made_up, monkeypatch):
    with pytest.raises(UnsupportedArchitectureError, match="attention of made_up cannot be recorded"):
        load_checkpoint(made_up)
    entry = Architecture("made_up", watched={"GPTJAttention": "out_proj.weight"}, reads="last")
    monkeypatch.setitem(ARCHITECTURES, "made_up", entry)
    loaded = load_checkpoint(made_up)
    encoding = encode(loaded, *PAIR)
    trace, gated = capture(loaded, encoding), capture(loaded, encoding, pruned=[(1, 2)])
    eager = MadeUpForSequenceClassification.from_pretrained(made_up, attn_implementation="eager").eval()
    inputs = {name: torch.from_numpy(values)[None] for name, values in encoding.inputs.items()}
    with torch.no_grad():
        expected = eager(**inputs, output_attentions=True)
    np.testing.assert_allclose(trace.attention, torch.cat(expected.attentions), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(trace.scores, expected.logits[0], rtol=1e-5, atol=1e-5)
    assert trace.root == len(trace.tokens) - 1
    assert loaded.steerable and not gated.head_output[1, :, 2].any() and gated.head_output[1, :, 1].any()


def test_every_entry_goes_through_every_analysis():
    assert set(ARCHITECTURES) <= set(ALL), "an entry without a line in tests/checkpoints.py"


def test_an_entry_says_how_its_attention_is_recorded():
    for name, row in ARCHITECTURES.items():
        assert name == row.model_type
        assert sum((bool(row.watched), bool(row.stacks), bool(row.interface))) == 1, name
        assert row.reads or not row.watched, f"{name} is watched, so nothing tells whether it is causal"
    assert architecture("bert") == Architecture("bert")
    assert encoder_decoders() == ["t5", "mt5", "umt5", "bart", "pegasus", "marian", "mbart", "plbart", "m2m_100"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, 1), ({"num_key_value_heads": None}, 1), ({"num_key_value_heads": 2}, 4), ({"multi_query": True}, 8)],
)
def test_heads_that_share_a_key_are_counted(options, expected):
    assert heads_per_key(type("Config", (), options)(), 8) == expected


def test_a_setting_that_is_refused_is_told_with_its_reason(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "bert", Architecture("bert", refused={"upside_down": "it stands on its head"}))
    check_supported({"model_type": "bert", "upside_down": False}, "lab/model")
    with pytest.raises(UnsupportedArchitectureError, match=r"lab/model cannot be analysed: it stands on its head\."):
        check_supported({"model_type": "bert", "upside_down": True}, "lab/model")


def test_a_module_that_two_models_share_is_prepared_once(tmp_path):
    """All models of the first GPT call one and the same activation."""
    first, second = (load_checkpoint(make_checkpoint(tmp_path / str(seed), "openai-gpt", seed=seed)) for seed in (0, 1))
    encoding = encode(first, *PAIR)
    assert not np.allclose(capture(first, encoding).scores, capture(second, encoding).scores)
