"""Small random checkpoints of many architectures, made on the spot, so that no test needs a network."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import CONFIG_MAPPING, AutoModel, AutoModelForSequenceClassification, PreTrainedTokenizerFast

TEXT = [
    "Anna gave the old book to her brother because he wanted to read it.",
    "The train to the coast isn't late; it left the station at 9.45 this morning.",
    "Nobody knows whether the café near the harbour sells well-known cakes.",
    "He borrowed twenty coins from a friend and bought bread, salt and milk.",
]
PAIR = ("Anna gave the book to a friend, didn't she?", "The friend has an unbelievable book 😀.")
N_LAYERS, N_HEADS, WIDTH = 3, 4, 32
_SIZES = {"hidden_size": WIDTH, "num_hidden_layers": N_LAYERS, "num_attention_heads": N_HEADS, "intermediate_size": 48}
_GROUPED = {**_SIZES, "num_key_value_heads": 2}


@dataclass(frozen=True)
class Architecture:
    """How to make a small model of one architecture, and where its parts are."""

    model_type: str
    tokenizer: str
    """`wordpiece`, `roberta` or `causal`."""
    projection: str
    """Name, inside the model, of the linear map that follows the heads' outputs; `{}` is the layer."""
    options: dict[str, Any] = field(default_factory=lambda: _SIZES)


ARCHITECTURES = {
    a.model_type: a
    for a in (
        Architecture("bert", "wordpiece", "encoder.layer.{}.attention.output.dense"),
        Architecture("roberta", "roberta", "encoder.layer.{}.attention.output.dense"),
        Architecture(
            "distilbert",
            "wordpiece",
            "transformer.layer.{}.attention.out_lin",
            {"dim": WIDTH, "n_layers": N_LAYERS, "n_heads": N_HEADS, "hidden_dim": 48},
        ),
        Architecture(
            "albert",
            "wordpiece",
            "encoder.albert_layer_groups.0.albert_layers.0.attention.dense",
            {**_SIZES, "embedding_size": 16},
        ),
        Architecture(
            "electra", "wordpiece", "encoder.layer.{}.attention.output.dense", {**_SIZES, "embedding_size": 16}
        ),
        Architecture(
            "modernbert",
            "wordpiece",
            "layers.{}.attn.Wo",
            {**_SIZES, "global_attn_every_n_layers": 2, "local_attention": 8},
        ),
        Architecture("gpt2", "causal", "h.{}.attn.c_proj", {"n_embd": WIDTH, "n_layer": N_LAYERS, "n_head": N_HEADS}),
        Architecture("llama", "causal", "layers.{}.self_attn.o_proj", _GROUPED),
        Architecture("qwen2", "causal", "layers.{}.self_attn.o_proj", _GROUPED),
        Architecture("qwen3", "causal", "layers.{}.self_attn.o_proj", {**_GROUPED, "head_dim": 8}),
        Architecture("gemma2", "causal", "layers.{}.self_attn.o_proj", {**_GROUPED, "head_dim": 8}),
        Architecture("mistral", "causal", "layers.{}.self_attn.o_proj", {**_GROUPED, "sliding_window": 6}),
        Architecture("gpt_neox", "causal", "layers.{}.attention.dense"),
    )
}


def make_checkpoint(
    folder: Path, model_type: str = "bert", *, classifies: bool = True, seed: int = 0, **options: Any
) -> Path:
    """Write a random checkpoint into a folder and return the folder.

    Weights are drawn wide, because near-uniform attention would hide mistakes.
    """
    architecture = ARCHITECTURES[model_type]
    tokenizer = make_tokenizer(architecture.tokenizer)
    ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos", "cls", "sep")}
    config = CONFIG_MAPPING[model_type](
        vocab_size=len(tokenizer),
        max_position_embeddings=160,
        initializer_range=0.3,
        **{**architecture.options, **options},
        **ids,
        **({"id2label": {0: "no", 1: "perhaps", 2: "yes"}} if classifies else {}),
    )
    torch.manual_seed(seed)
    model = (AutoModelForSequenceClassification if classifies else AutoModel).from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.2)  # libraries start biases at zero, which hides a forgotten one
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@cache
def make_tokenizer(kind: str) -> PreTrainedTokenizerFast:
    """Train a tokenizer on a few sentences: BERT's WordPiece, RoBERTa's pairs, or a causal byte-level BPE."""
    if kind == "wordpiece":
        return _wordpiece()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    names = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    if kind == "roberta":
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
        names |= {"cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_input_names=["input_ids", "attention_mask"], **names
    )


def _wordpiece() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(
        TEXT, trainers.WordPieceTrainer(vocab_size=120, special_tokens=special, show_progress=False)
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def copy_without(source: Path, target: Path, *left_out: str) -> Path:
    """Copy a checkpoint without some of its files."""
    shutil.copytree(source, target, ignore=lambda _, names: [name for name in names if name in left_out])
    return target
