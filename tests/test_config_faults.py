"""What a `config.json` asks for is computed, is ours to decide, or is refused as a fault of that very file."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from transformers import CONFIG_MAPPING, PreTrainedConfig

from attnflow import CheckpointError, SelectionError, UnsupportedArchitectureError, capture, encode, load_checkpoint
from attnflow.checkpoints.checkpoint import check_supported
from attnflow.checkpoints.ignored_settings import FOLLOWED
from attnflow.checkpoints.task_head import class_names
from attnflow.checkpoints.tokenizer_reader import LocalReader
from attnflow.errors import brief
from attnflow.methods.target import choose_target
from attnflow.service.case import Case, ModelCard
from attnflow.web.endpoints.answers import case_note, prediction_note
from tests.checkpoints import (
    ARCHITECTURES,
    MORE_ARCHITECTURES,
    PAIR,
    Architecture,
    edited_config,
    make_checkpoint,
    make_tokenizer,
)

pytestmark = pytest.mark.usefixtures("empty_caches")


# ---- settings that transformers ignores


@pytest.mark.parametrize(
    ("model_type", "setting", "value"),
    [
        ("bert", "position_embedding_type", "relative_key_query"),
        ("roberta", "position_embedding_type", "relative_key"),
        ("electra", "position_embedding_type", "rotary"),
        ("bert", "position_embedding_type", "alibi"),
        ("bert", "alibi_starting_size", 512),
        ("bert", "feed_forward_type", "geglu"),
        ("nomic_bert", "rotary_emb_interleaved", True),
        ("nomic_bert", "prenorm", True),
        ("mpt", "logit_scale", 2.0),
        ("mpt", "norm_type", "rmsnorm"),
        ("mpt", "attn_config", {"alibi": False}),
        ("mpt", "attn_config", {"alibi_bias_max": 4}),
        ("mpt", "attn_config", {"prefix_lm": True}),
        ("bart", "normalize_before", True),
        ("bart", "static_position_embeddings", True),
        ("marian", "normalize_embedding", True),
        ("mbart", "add_final_layer_norm", False),
        ("pegasus", "normalize_before", False),
        ("deepseek_v2", "norm_topk_prob", True),
        ("gemma", "use_bidirectional_attention", True),
        ("gemma2", "use_bidirectional_attention", True),
    ],
)
def test_a_setting_that_would_be_ignored_is_refused_by_name(model_type, setting, value):
    check_supported({"model_type": model_type}, "lab/model")
    inner = next(iter(value)) if isinstance(value, dict) else setting
    with pytest.raises(UnsupportedArchitectureError, match=rf"gives \S*{inner} as .*and transformers computes"):
        check_supported({"model_type": model_type, setting: value}, "lab/model")


@pytest.mark.parametrize(
    ("model_type", "config"),
    [
        ("bert", {"position_embedding_type": "absolute", "gradient_checkpointing": False, "use_cache": True}),
        ("bart", {"normalize_before": False, "normalize_embedding": True, "static_position_embeddings": False}),
        ("pegasus", {"normalize_before": True, "add_final_layer_norm": True, "normalize_embedding": False}),
        ("marian", {"normalize_before": False, "normalize_embedding": False, "static_position_embeddings": True}),
        ("esm", {"position_embedding_type": "rotary"}),
        ("gemma", {"use_bidirectional_attention": False}),
        ("mpt", {"attn_config": {"alibi": True, "alibi_bias_max": 8, "qk_ln": False}, "logit_scale": None}),
        ("nomic_bert", {"prenorm": False, "rotary_emb_fraction": 1.0, "rotary_emb_interleaved": False}),
    ],
)
def test_settings_that_are_followed_are_not_refused(model_type, config):
    check_supported({"model_type": model_type, **config}, "lab/model")


SEEN = {
    "aux_loss_alpha seq_aux router_jitter_noise router_aux_loss_coef output_router_logits": "training alone",
    "pretraining_tp max_window_layers use_sliding_window layer_types": "the same result, or turned into layer_types",
    "resid_pdrop emb_pdrop embd_pdrop reference_compile repad_logits_with_grad verbose init_device": "no arithmetic",
    "expansion_ratio learned_pos_emb no_bias embedding_fraction": "of MPT: seen in the shapes and names of weights",
    "attention_types feed_forward_proj local_attention full_attn_idxs block_types global_attn_every_n_layers "
    "no_rope_layer_interval interleave_moe_layer_step sliding_window_pattern first_k_dense_replace": "made into others",
    "boi_token_index eoi_token_index eoa_token_index image_token_index image_seq_length is_folding_model": "no text",
    "n_shared_experts num_nextn_predict_layers mtp_mlp_layer_types num_kv_shared_layers dim_model_base attention_bias "
    "mlp_bias hidden_act intermediate_size num_key_value_heads layer_norm_eps norm_topk_prob untie_r "
    "moe_apply_router_weight_on_input hidden_activation": "looked at one by one: nothing else is computed with them",
}
"""Settings that a class declares and the code of its model does not read, and why they are harmless."""


def test_every_declared_setting_is_read_by_the_code_or_was_looked_at():
    top = Path(transformers.__file__).parent
    shared = "".join(
        (top / f"{name}.py").read_text()
        for name in ("modeling_utils", "modeling_rope_utils", "masking_utils", "modeling_layers")
    )
    common = {field.name for field in fields(PreTrainedConfig)}
    known = set(" ".join(SEEN).split())
    unread = {}
    for kind in CONFIG_MAPPING:
        try:
            check_supported({"model_type": kind}, "lab/model")
        except UnsupportedArchitectureError:
            continue
        config = CONFIG_MAPPING[kind]
        folder = top / "models" / config.__module__.split(".")[2]
        words = set(re.findall(r"\w+", shared + "".join(path.read_text() for path in folder.glob("modeling_*.py"))))
        names = {
            field.name: {field.name, *(a for a, f in config.attribute_map.items() if f == field.name)}
            for field in fields(config)
        }
        unread |= {
            f"{kind}.{name}": sorted(aliases)
            for name, aliases in names.items()
            if name not in common | known | set(FOLLOWED.get(kind, {}))
            and not name.endswith("_token_id")
            and not aliases & words
        }
    assert unread == {}


def test_sizes_are_read_under_every_name_that_transformers_writes_them_by(tmp_path, monkeypatch):
    sizes = {**ARCHITECTURES["qwen3"].options, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
    monkeypatch.setitem(MORE_ARCHITECTURES, "qwen3_moe", Architecture("qwen3_moe", "causal", "", sizes))
    folder = make_checkpoint(tmp_path / "it", "qwen3_moe")
    assert "num_local_experts" in json.loads((folder / "config.json").read_text())
    assert load_checkpoint(folder).model.config.num_experts == 4


# ---- what is ours to decide


@pytest.mark.parametrize(
    "settings",
    [
        {"return_dict": False},
        {"use_return_dict": False},
        {"output_attentions": True},
        {"output_hidden_states": True},
        {"torchscript": True},
        {"use_cache": True},
        {"chunk_size_feed_forward": 7},
        {"gradient_checkpointing": True},
        {"id2label": ["no", "perhaps", "yes"]},
        {"id2label": {"2": "yes", "0": "no", "1": "perhaps"}, "label2id": ["no", "perhaps", "yes"]},
    ],
    ids=lambda settings: " ".join(settings),
)
@pytest.mark.parametrize("model_type", ["bert", "gpt2"])
def test_settings_of_answers_and_memory_change_nothing(model_type, settings, folders, tmp_path):
    whole = load_checkpoint(folders[model_type])
    loaded = load_checkpoint(edited_config(folders[model_type], tmp_path / "set", **settings))
    assert loaded.head.labels == ("no", "perhaps", "yes")
    np.testing.assert_array_equal(
        capture(loaded, encode(loaded, *PAIR)).scores, capture(whole, encode(whole, *PAIR)).scores
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"id2label": {"a": "no"}},
        {"id2label": "no"},
        {"problem_type": "guessing"},
        {"hidden_act": "wobble"},
        {"hidden_size": 33},
        {"pad_token_id": 10**6},
        {"num_attention_heads": 0},
    ],
    ids=lambda settings: " ".join(settings),
)
def test_a_fault_of_the_configuration_is_told_as_one(settings, folders, tmp_path):
    with pytest.raises(CheckpointError, match=r"config\.json") as caught:
        load_checkpoint(edited_config(folders["bert"], tmp_path / "odd", **settings))
    assert "tokenizer" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"rope_scaling": {"type": "foo", "factor": 4.0}},
            r"\(rope_scaling\) by the type 'foo'; transformers knows dynamic",
        ),
        ({"rope_scaling": {"rope_type": "su", "factor": 4.0}}, "by the type 'su'"),
        ({"rope_scaling": "linear"}, "config.json .*rope"),
        ({"layer_types": ["full_attention"]}, r"layer_types.*layers|layers.*layer_types"),
    ],
)
def test_a_fault_of_positions_or_layers_is_told_by_name(settings, told, folders, tmp_path):
    with pytest.raises(CheckpointError, match=told):
        load_checkpoint(edited_config(folders["llama"], tmp_path / "it", **settings))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("one\ntwo", "one"),
        (
            "Validation error for field 'x':\n    TypeError: no number",
            "Validation error for field 'x': TypeError: no number",
        ),
        ("Layer(\n  (a): b\n) is no decoder", "Layer(...) is no decoder"),
        ("", ""),
        ("alone:", "alone:"),
    ],
)
def test_the_reason_of_an_error_is_told_whole_and_short(message, expected):
    assert brief(ValueError(message)) == f"ValueError: {expected}"


# ---- what a head is asked for


@pytest.mark.parametrize("model_type", ["bert", "roberta", "electra", "xlnet", "megatron-bert"])
def test_a_head_for_the_next_word_that_sees_it_is_asked_for_none(model_type, tmp_path):
    loaded = load_checkpoint(make_checkpoint(tmp_path / "both", model_type, task="causal-lm"))
    assert (loaded.head.kind, loaded.head.trained, loaded.root) == ("none", False, loaded.root)
    assert prediction_note(ModelCard.of(loaded)) == loaded.head.reason
    assert loaded.architecture in loaded.head.reason
    with pytest.raises(SelectionError, match="no trained task head"):
        choose_target(loaded, encode(loaded, *PAIR))


def test_a_head_that_is_not_read_is_told_with_its_reason(tmp_path):
    body = make_checkpoint(tmp_path / "body", "electra", task="none")
    for named, kind, reason in (
        ("ElectraForPreTraining", "none", "another task than masked words"),
        ("ElectraForMaskedLM", "masked-lm", ""),
    ):
        head = load_checkpoint(edited_config(body, tmp_path / named, architectures=[named])).head
        assert (head.kind, head.trained) == (kind, False)
        assert reason in head.reason
    decoder = make_checkpoint(tmp_path / "decoder", "olmo2", task="none")
    head = load_checkpoint(
        edited_config(decoder, tmp_path / "c", architectures=["Olmo2ForSequenceClassification"])
    ).head
    assert not head.trained
    assert not head.reason or "no such head for olmo2" in head.reason


@pytest.mark.parametrize(
    ("model_type", "options"), [("bert", {"is_decoder": True}), ("electra", {"is_decoder": True}), ("gpt2", {})]
)
def test_a_head_for_the_next_word_that_does_not_see_it_is_asked_for_it(model_type, options, tmp_path):
    loaded = load_checkpoint(make_checkpoint(tmp_path / "left", model_type, task="causal-lm", **options))
    assert (loaded.head.kind, loaded.head.trained, loaded.root) == ("causal-lm", True, "last")


# ---- names of classes


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("yes", "no", "yes"), ("yes (class 0)", "no", "yes (class 2)")),
        (("Yes", "yes "), ("Yes (class 0)", "yes  (class 1)")),
        (("1", "2", "3"), ("1 (class 0)", "2 (class 1)", "3 (class 2)")),
        (("0", "1"), ("0", "1")),
        (("1 star", "2 stars"), ("1 star", "2 stars")),
        (("5", "10"), ("5", "10")),
    ],
)
def test_classes_that_a_name_does_not_tell_apart_carry_their_number(names, expected):
    assert class_names(names) == expected


def test_an_ambiguous_name_of_a_class_is_refused_with_the_numbers(folders, tmp_path):
    names = {"0": "yes", "1": "no", "2": "yes"}
    loaded = load_checkpoint(edited_config(folders["bert"], tmp_path / "twice", id2label=names))
    encoding = encode(loaded, *PAIR)
    with pytest.raises(SelectionError, match=r"may mean several classes; give one of .*yes \(class 2\)"):
        choose_target(loaded, encoding, "yes")
    assert [choose_target(loaded, encoding, one).index for one in ("no", "yes (class 2)", 2, "2")] == [1, 2, 2, 2]
    loaded = load_checkpoint(edited_config(folders["bert"], tmp_path / "numbers", id2label={"0": 1, "1": 2, "2": 3}))
    with pytest.raises(SelectionError, match=r"may mean several classes; give one of .*1 \(class 0\)"):
        choose_target(loaded, encoding, "1")
    assert [choose_target(loaded, encoding, one).index for one in (1, "3", "1 (class 0)")] == [1, 2, 0]


@pytest.mark.parametrize(
    ("settings", "labels", "note"),
    [
        ({"id2label": {"1": "a", "2": "b", "3": "c"}}, ("0", "1", "2"), r"names the classes 1, 2, 3 .* has 0 to 2"),
        ({"id2label": {"0": "a", "1": "b", "5": "c"}}, ("0", "1", "2"), r"names the classes 0, 1, 5"),
        ({"id2label": {"-1": "a", "0": "b", "1": "c"}}, ("0", "1", "2"), r"names the classes -1, 0, 1"),
        ({"id2label": {"0": "", "1": None, "2": "  "}}, ("0", "1", "2"), ""),
        ({"id2label": {"0": "a", "1": "", "2": "1"}}, ("a", "1 (class 1)", "1 (class 2)"), ""),
        ({"id2label": None, "label2id": {"x": 0, "z": 2, "y": 1}}, ("x", "y", "z"), ""),
        ({"id2label": None, "label2id": ["x", "y", "z"]}, ("x", "y", "z"), ""),
        ({"id2label": None, "num_labels": 3, "label2id": {"x": 1, "y": 2, "z": 3}}, ("LABEL_0",), ""),
        (
            {"label2id": {"no": 2, "perhaps": 1, "yes": 0}},
            ("no", "perhaps", "yes"),
            "label2id otherwise than in id2label",
        ),
        ({"label2id": {"LABEL_0": 0, "LABEL_1": 1}}, ("no", "perhaps", "yes"), ""),
        ({"label2id": {"no": 0, "perhaps": 1, "yes": 2}}, ("no", "perhaps", "yes"), ""),
    ],
    ids=str,
)
@pytest.mark.parametrize("task", ["sequence-classification", "token-classification"])
def test_names_that_are_not_those_of_the_classes_are_not_taken_for_them(task, settings, labels, note, tmp_path):
    whole = make_checkpoint(tmp_path / "whole", "bert", task=task)
    loaded = load_checkpoint(edited_config(whole, tmp_path / "named", **settings))
    assert loaded.head.labels[: len(labels)] == labels
    assert len(loaded.head.labels) == 3
    assert re.search(note, " ".join(loaded.notes)) if note else loaded.notes == ()


def test_a_class_of_models_that_is_no_list_is_one(folders, tmp_path):
    loaded = load_checkpoint(
        edited_config(folders["bert"], tmp_path / "it", architectures="BertForSequenceClassification")
    )
    assert (loaded.head.kind, loaded.head.trained) == ("sequence-classification", True)


def test_a_quantisation_of_nothing_is_none(folders, tmp_path):
    folder = edited_config(folders["bert"], tmp_path / "it")
    config = json.loads((folder / "config.json").read_text()) | {"quantization_config": None}
    (folder / "config.json").write_text(json.dumps(config))
    assert load_checkpoint(folder).head.trained


# ---- kinds of sentences


@pytest.mark.parametrize(("model_type", "kinds"), [("bert", 1), ("roberta", 1), ("electra", 1)])
def test_a_model_of_one_kind_of_sentence_is_given_one_and_says_so(model_type, kinds, tmp_path):
    made = load_checkpoint(make_checkpoint(tmp_path / "one", model_type, type_vocab_size=kinds))
    loaded = replace(made, tokenizer=LocalReader(make_tokenizer("wordpiece"), "x"))
    encoding = encode(loaded, *PAIR)
    assert loaded.n_token_types == kinds
    assert encoding.one_kind
    assert not encoding.inputs["token_type_ids"].any()
    trace = capture(loaded, encoding)
    with torch.inference_mode():
        ids = torch.from_numpy(encoding.inputs["input_ids"])[None]
        np.testing.assert_allclose(trace.scores, loaded.model(input_ids=ids).logits[0], rtol=1e-4, atol=1e-5)
    assert "numbers the sentences" in case_note(Case(ModelCard.of(loaded), encoding, trace))
    assert not encode(loaded, PAIR[0]).one_kind


def test_a_model_of_two_kinds_of_sentences_is_given_both(folders):
    loaded = load_checkpoint(folders["bert"])
    encoding = encode(loaded, *PAIR)
    assert (loaded.n_token_types, encoding.one_kind) == (2, False)
    assert encoding.inputs["token_type_ids"].any()
