"""What of a stranger's `config.json` reaches transformers: the keys an architecture declares, of sizes that fit.

Everything else is left out, and told. transformers sets whatever it finds as an attribute of the configuration, and
some of those name a file, another repository, a kernel to download or a module to import; so nothing is passed on
unless the architecture's own class declares it or its code is known to read it, and no text that looks like a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from fnmatch import fnmatch
from functools import cache
from typing import Any, cast

from transformers.configuration_utils import PreTrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.tokenization_auto import (
    MODEL_IDS_TO_TOKENIZERS_BACKEND,
    MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS,
)

from attnflow import limits
from attnflow.checkpoints.ignored_settings import ignored_setting
from attnflow.checkpoints.plain_json import kind_of, shown
from attnflow.errors import UnsupportedArchitectureError

READ_UNDECLARED = frozenset(
    # what every configuration takes besides its fields
    "num_labels tokenizer_class bos_token_id eos_token_id pad_token_id cls_token_id sep_token_id mask_token_id "
    "unk_token_id decoder_start_token_id tie_word_embeddings use_cache classifier_dropout "
    # rotary positions as older configurations told them
    "rope_theta rope_scaling partial_rotary_factor rotary_emb_base rotary_pct rotary_dim global_rope_theta "
    "local_rope_theta rope_local_base_freq swa_rope_theta "
    # other names of fields, which the classes themselves translate
    "n_embed num_experts first_k_dense_replace moe_layer_freq sliding_window_pattern sliding_window_size "
    "use_sliding_window layer_types global_attn_every_n_layers pooler_hidden_size compress_ratios compress_rate_csa "
    "compress_rate_hca num_hash_layers qk_rope_head_dim swa_qk_rope_head_dim use_dsa index_topk_pattern "
    "index_topk_freq index_skip_topk_offset moe_shared_expert_intermediate_size global_head_dim "
    "num_global_key_value_heads tie_embedding block_ff_dim sparse_attention_config initializer_range "
    "attention_windows num_attention_heads intermediate_size "
    # what the code of a model reads with a default of its own
    "head_dim attention_head_size embedding_size position_buckets share_att_key norm_rel_ebd conv_kernel_size "
    "conv_act conv_groups cls_dropout talking_head hidden_dropout gradient_checkpointing summary_type "
    "summary_use_proj summary_activation summary_first_dropout summary_last_dropout summary_proj_to_labels "
    "router_bias scale_decoder_outputs sliding_window original_max_position_embeddings true_hidden_size "
    "prediction_head_size attention_bias attention_dropout hidden_act final_logit_softcapping "
    "cross_attention_hidden_size is_decoder layer_norm_eps n_layers clip_qkv "
    # what is read of every configuration by code that all models share
    "is_causal tie_last_hidden_states token_classification_bias rope_parameters attention_chunk_size "
    "unpadded_vocab_size logits_mup_width_multiplier mlp_layer_types".split()
)
"""Keys that transformers' classes do not declare and yet understand; a test compares them with its source."""
_OURS = frozenset(
    "dtype torch_dtype return_dict use_return_dict output_attentions output_hidden_states output_router_logits "
    "torchscript use_cache chunk_size_feed_forward gradient_checkpointing low_cpu_mem_usage".split()
)
"""Keys that are left out, because whoever runs the model decides them: what it returns, and how memory is saved."""
_READ_HERE = frozenset({"pruned_heads"})
"""Keys that only older versions of transformers read, and that `pruned_heads` follows in their place."""
_CHANGE_THE_MODEL = {
    "quantization_config": "its weights are quantised; the analyses need them in full",
    "skip": "its config.json leaves out parts of single layers (per_layer_config)",
    "fusion_config": "its config.json asks for other modules than its architecture has (fusion_config)",
    "transformers_weights": "its config.json names another file for its weights (transformers_weights)",
}
_ANY_KIND = "number text list object"
_LONGEST_LIST, _LONGEST_TEXT, _LARGEST_NUMBER, _MOST_EXPERTS = 1_000, 1_000, 10**12, 1_024
_WIDEST_HEAD = 8_192
_PATH = re.compile(r"[/\\~]|^\.|\.\.")
_LAYER_COUNTS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_LAYERS = re.compile(
    r"(?:^|_)(?:n_layer|layers)$|_groups?$|_group_num$|_stack$|_feedforward_networks$|_cycles$|^attention_types$"
)
_HEADS = re.compile(r"(?:^|_)(?:n_head|heads)$")
_POSITIONS = re.compile(
    r"position_embeddings$|positions$|position_buckets$|^n_ctx$|^max_seq|_length$|(?:seq|mem|clamp|reuse)_len$|max_distance$"
)
_EXPERTS = re.compile(r"experts?$")
_WIDTHS = re.compile(r"head_dim$|head_size$|^d_kv$|d_head$")
_PRODUCTS = (
    ((_HEADS, _POSITIONS), 10**8, "heads at all positions"),  # MPT makes a table of them in each run
    ((_LAYERS, _EXPERTS), 20_000, "experts in all layers"),
    ((re.compile("^num_hidden_groups$"), re.compile("^inner_group_num$")), 1_000, "layers in all groups"),
    ((_LAYERS, re.compile("^num_feedforward_networks$")), 1_000, "networks in all layers"),
    (tuple(map(re.compile, ("^H_cycles$", "^L_cycles$", "^num_layers_per_stack$"))), 1_000, "layers in all cycles"),
)
"""Sizes that are fine alone and may be too many together: names, how many, of what."""


def allowed_config(config: Mapping[str, Any], name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what may be read of a `config.json`, and the keys that were left out.

    Args:
        config: As it was parsed; its `model_type` is one that transformers knows.
        name: What the checkpoint is called, for errors.

    Raises:
        UnsupportedArchitectureError: If an entry is of another kind or size than it can be, or changes the model in a
            way that is not followed.
    """
    try:
        left_out: list[str] = []
        config_class = CONFIG_MAPPING[config["model_type"]]
        ignored = ignored_setting(config, _declared(config_class))
        if ignored:
            raise _RefusedError(ignored)
        kept = _allowed(config, config_class, "", left_out)
    except _RefusedError as error:
        raise UnsupportedArchitectureError(f"{name} cannot be analysed: {error}. Choose another checkpoint.") from None
    return kept, tuple(left_out)


class _RefusedError(Exception):
    """Carries the reason."""


def _allowed(
    config: Mapping[str, Any], config_class: type[PreTrainedConfig], prefix: str, left_out: list[str]
) -> dict[str, Any]:
    kinds, nested = _declared(config_class), dict(cast("Mapping[str, Any]", config_class.sub_configs))
    kept: dict[str, Any] = {}
    for key, value in config.items():
        told = prefix + key
        if key in _CHANGE_THE_MODEL and value not in (None, False, {}, []):
            raise _RefusedError(_CHANGE_THE_MODEL[key])
        if key == "model_type" and isinstance(value, str):
            kept[key] = value
        elif key in nested and isinstance(value, dict):
            kept[key] = _allowed(value, _nested_class(nested[key], value, told), f"{told}.", left_out)
        elif key == "per_layer_config" and isinstance(value, dict):
            _check_value(told, "layers", dict.fromkeys(value))
            kept[key] = {
                index: _allowed(layer, config_class, f"{told}.{index}.", left_out) if isinstance(layer, dict) else layer
                for index, layer in value.items()
            }
        elif _tells_the_tokenizer(key, value):
            kept[key] = value
        elif key in _OURS or (key not in kinds and key not in READ_UNDECLARED | _READ_HERE):
            left_out.append(told)
        elif key == "id2label" and isinstance(value, list):  # names in the order of their numbers
            _check_value(told, key, value)
            kept[key] = {str(number): label for number, label in enumerate(value)}
        elif key == "architectures" and isinstance(value, str):
            kept[key] = [value]
        elif key == "label2id" and not config.get("id2label"):  # which transformers does not read alone
            _check_value(told, key, value)
            kept |= {"id2label": named} if (named := _turned(value)) else {}
        elif key == "label2id" and isinstance(value, list):  # says what id2label says, and is not read here
            left_out.append(told)
        else:
            _check_kind(told, value, kinds.get(key) or ("number" if key == "num_labels" else _ANY_KIND))
            _check_value(told, key, value)
            kept[key] = value
    _check_together(kept)
    return kept


def _turned(numbers: Any) -> dict[str, str]:
    """The names of classes by their numbers, from their numbers by name, or from names in order; empty if unclear."""
    if isinstance(numbers, list):
        numbers = {name: number for number, name in enumerate(numbers)}
    names = {number: name for name, number in numbers.items()} if isinstance(numbers, dict) else {}
    whole = all(type(number) is int for number in names) and sorted(names) == [*range(len(numbers or ()))]
    return {str(number): str(name) for number, name in sorted(names.items())} if whole else {}


def _tells_the_tokenizer(key: str, value: Any) -> bool:
    """Whether a name is one of those by which transformers knows that the tokenizer's class in the files is wrong."""
    if not isinstance(value, str):
        return False
    if key == "model_name":
        return value in MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS
    known = (fnmatch(value.lower(), pattern) for pattern in MODEL_IDS_TO_TOKENIZERS_BACKEND)
    return key == "_name_or_path" and re.fullmatch(r"[\w.-]+/[\w.-]+", value) is not None and any(known)


def _nested_class(declared: Any, value: dict[str, Any], told: str) -> type[PreTrainedConfig]:
    """The class of a configuration inside another one; AutoConfig stands for whatever the file says."""
    if isinstance(declared, type) and issubclass(declared, PreTrainedConfig):
        return declared
    kind = value.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        raise _RefusedError(
            f"its config.json gives {told}.model_type as {shown(kind)}, which transformers does not know"
        )
    return CONFIG_MAPPING[kind]


@cache
def _declared(config_class: type[PreTrainedConfig]) -> dict[str, str]:
    """The keys that an architecture declares, by any of their names, and which kinds of values each may have."""
    kinds = {field.name: _kinds(str(field.type)) for field in fields(config_class)}
    names = config_class.attribute_map.items()
    # A declared name may stand for one that is not, by which transformers then writes it (the experts of Qwen3-MoE).
    kinds |= {stored: kinds[name] for name, stored in names if name in kinds and stored not in kinds}
    return kinds | {alias: kinds[field] for alias, field in names if field in kinds}


def _kinds(annotation: str) -> str:
    words = set(re.findall(r"\w+", annotation))
    found = [
        kind
        for kind, names in (
            ("number", {"int", "float", "bool"}),
            ("text", {"str", "Literal"}),
            ("list", {"list", "tuple"}),
            ("object", {"dict", "RopeParameters"}),
        )
        if words & names
    ]
    return " ".join(found) or _ANY_KIND


def _check_kind(told: str, value: Any, kinds: str) -> None:
    """Compare a value with its declaration; whether 3.0 is a whole number is left to transformers."""
    kind = {bool: "number", int: "number", float: "number", str: "text", list: "list", dict: "object"}.get(type(value))
    if kind is not None and kind not in kinds.split():
        expected = " or ".join(
            {"text": "a text", "list": "a list"}.get(k, f"a{'n' * (k == 'object')} {k}") for k in kinds.split()
        )
        raise _RefusedError(
            f"its config.json gives {told} as {shown(value)}, {kind_of(value)}, where {expected} is due"
        )


def _check_value(told: str, key: str, value: Any) -> None:
    label = key in ("id2label", "label2id")
    longest = limits.MAX_LABELS if label else _LONGEST_LIST
    what, bound = _bound(key)
    if key in _LAYER_COUNTS and (value is False or (isinstance(value, int | float) and value < 1)):
        raise _RefusedError(f"its config.json asks for {shown(value)} layers; from 1 to {bound} can be analysed")
    if key in _LAYER_COUNTS and (value is True or (isinstance(value, float) and not value.is_integer())):
        raise _RefusedError(f"its config.json gives {told} as {shown(value)}, no whole number")
    for item in _everything(value):
        if isinstance(item, list | dict) and len(item) > longest:
            what = "labels" if label else "entries"
            raise _RefusedError(f"its config.json gives {told} {len(item):,} {what}; at most {longest:,} can be read")
        if isinstance(item, str) and (len(item) > _LONGEST_TEXT or not (label or _plain(item))):
            raise _RefusedError(f"its config.json gives {told} as {shown(item)}, which looks like the name of a file")
        # Of fractions only those that count something are bounded; a model may cut at an infinite one.
        if isinstance(item, int if bound == _LARGEST_NUMBER else int | float) and abs(item) > bound:
            raise _RefusedError(
                f"its config.json asks for {shown(item)} {what} ({told}); at most {bound:,} can be analysed"
            )


def _plain(text: str) -> bool:
    return not _PATH.search(text) and text.isprintable()


def _bound(key: str) -> tuple[str, int]:
    """What a number of that name counts, and how many there may be."""
    if key in ("num_labels", "label2id"):
        return "labels", limits.MAX_LABELS
    for names, what, most in (
        (_LAYERS, "layers", limits.MAX_LAYERS),
        (_HEADS, "heads", limits.MAX_HEADS),
        (_POSITIONS, "positions", limits.MAX_POSITIONS),
        (_EXPERTS, "experts", _MOST_EXPERTS),
        (_WIDTHS, "numbers in a head", _WIDEST_HEAD),
    ):
        if names.search(key):
            return what, most
    return "of something", _LARGEST_NUMBER


def _everything(value: Any) -> Iterator[Any]:
    """A value and all that is in it, the names in an object included."""
    yield value
    if isinstance(value, dict):
        yield from value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _everything(item)


def _check_together(config: dict[str, Any]) -> None:
    for factors, most, what in _PRODUCTS:
        product = 1
        for names in factors:
            product *= max((v for k, v in config.items() if names.search(k) and type(v) is int), default=1)
        if product > most:
            raise _RefusedError(f"its config.json asks for {product:,} {what}; at most {most:,} can be analysed")
