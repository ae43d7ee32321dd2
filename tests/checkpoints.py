"""Small random checkpoints of many architectures, made on the spot, so that no test needs a network."""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    CONFIG_MAPPING,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedTokenizerFast,
)

TEXT = [
    "Anna gave the old book to her brother because he wanted to read it.",
    "The train to the coast isn't late; it left the station at 9.45 this morning.",
    "Nobody knows whether the café near the harbour sells well-known cakes.",
    "He borrowed twenty coins from a friend and bought bread, salt and milk.",
]
WORDS = re.findall(r"\w+|[^\w\s]", " ".join(TEXT))
PAIR = ("Anna gave the book to a friend, didn't she?", "The friend has an unbelievable book 😀.")
N_LAYERS, N_HEADS, WIDTH = 3, 4, 32
_CLASSES = {
    "sequence-classification": AutoModelForSequenceClassification,
    "masked-lm": AutoModelForMaskedLM,
    "causal-lm": AutoModelForCausalLM,
    "token-classification": AutoModelForTokenClassification,
    "question-answering": AutoModelForQuestionAnswering,
    "seq2seq-lm": AutoModelForSeq2SeqLM,
    "seq2seq": AutoModel,
    "none": AutoModel,
}
_SIZES = {"hidden_size": WIDTH, "num_hidden_layers": N_LAYERS, "num_attention_heads": N_HEADS, "intermediate_size": 48}
_GROUPED = {**_SIZES, "num_key_value_heads": 2}


@dataclass(frozen=True)
class Architecture:
    """How to make a small model of one architecture, and where its parts are."""

    model_type: str
    tokenizer: str
    """See `make_tokenizer`."""
    projection: str
    """Name, inside the model, of the linear map that follows the heads' outputs; `{}` is the layer."""
    options: dict[str, Any] = field(default_factory=lambda: _SIZES)
    classifies: bool = True
    """Whether it has a class for sequence classification that is read."""


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
_ENCODER = {
    "d_model": WIDTH,
    "num_layers": N_LAYERS,
    "num_heads": N_HEADS,
    "d_kv": 8,
    "d_ff": 48,
    "initializer_factor": 6.0,
    "num_decoder_layers": 2,
}
_BART = {
    "d_model": WIDTH,
    "encoder_layers": N_LAYERS,
    "encoder_attention_heads": N_HEADS,
    "encoder_ffn_dim": 48,
    "decoder_layers": 2,
    "decoder_attention_heads": N_HEADS,
    "decoder_ffn_dim": 48,
}
_GPT = {"n_embd": WIDTH, "n_layer": N_LAYERS, "n_head": N_HEADS}
_OLD = {"hidden_size": WIDTH, "n_layer": N_LAYERS, "n_head": N_HEADS}

MORE_ARCHITECTURES = {
    a.model_type: a
    for a in (
        Architecture("xlm-roberta", "roberta", "encoder.layer.{}.attention.output.dense"),
        Architecture("camembert", "roberta", "encoder.layer.{}.attention.output.dense"),
        Architecture("ernie", "wordpiece", "encoder.layer.{}.attention.output.dense"),
        Architecture("nomic_bert", "wordpiece", "layers.{}.self_attn.o_proj"),
        Architecture(
            "opt",
            "causal",
            "decoder.layers.{}.self_attn.out_proj",
            {**_SIZES, "ffn_dim": 48, "word_embed_proj_dim": WIDTH},
        ),
        Architecture("phi3", "causal", "layers.{}.self_attn.o_proj", _GROUPED),
        Architecture("olmo2", "causal", "layers.{}.self_attn.o_proj", _GROUPED, classifies=False),
        Architecture("t5", "unigram", "encoder.block.{}.layer.0.SelfAttention.o", _ENCODER, classifies=False),
        Architecture("mt5", "unigram", "encoder.block.{}.layer.0.SelfAttention.o", _ENCODER, classifies=False),
        Architecture("bart", "roberta", "layers.{}.self_attn.out_proj", _BART, classifies=False),
        Architecture("mbart", "roberta", "layers.{}.self_attn.out_proj", _BART, classifies=False),
        Architecture(
            "deberta",
            "wordpiece",
            "encoder.layer.{}.attention.output.dense",
            {**_SIZES, "relative_attention": True, "pos_att_type": ["c2p", "p2c"], "max_relative_positions": 12},
        ),
        Architecture(
            "deberta-v2",
            "wordpiece",
            "encoder.layer.{}.attention.output.dense",
            {
                **_SIZES,
                "relative_attention": True,
                "pos_att_type": ["c2p", "p2c"],
                "position_buckets": 8,
                "max_relative_positions": 12,
                "share_att_key": True,
                "norm_rel_ebd": "layer_norm",
            },
        ),
        Architecture("mpnet", "roberta", "encoder.layer.{}.attention.attn.o"),
        Architecture(
            "xlnet",
            "xlnet",
            "layer.{}.rel_attn.o",
            {"d_model": WIDTH, "n_layer": N_LAYERS, "n_head": N_HEADS, "d_inner": 48},
        ),
        Architecture(
            "roformer", "wordpiece", "encoder.layer.{}.attention.output.dense", {**_SIZES, "embedding_size": 16}
        ),
        Architecture(
            "mpt",
            "causal",
            "blocks.{}.attn.out_proj",
            {"d_model": WIDTH, "n_layers": N_LAYERS, "n_heads": N_HEADS, "expansion_ratio": 2, "max_seq_len": 160},
        ),
        Architecture("bloom", "causal", "h.{}.self_attention.dense", _OLD),
        Architecture(
            "falcon",
            "causal",
            "h.{}.self_attention.dense",
            {**_SIZES, "multi_query": True, "new_decoder_architecture": False, "alibi": False},
        ),
        Architecture("biogpt", "causal", "layers.{}.self_attn.out_proj"),
        Architecture("stablelm", "causal", "layers.{}.self_attn.o_proj", _GROUPED, classifies=False),
        Architecture("umt5", "unigram", "encoder.block.{}.layer.0.SelfAttention.o", _ENCODER, classifies=False),
        Architecture("plbart", "roberta", "layers.{}.self_attn.out_proj", _BART, classifies=False),
        Architecture("m2m_100", "roberta", "layers.{}.self_attn.out_proj", _BART, classifies=False),
        Architecture("pegasus", "unigram", "layers.{}.self_attn.out_proj", _BART, classifies=False),
        Architecture(
            "marian", "unigram", "layers.{}.self_attn.out_proj", {**_BART, "decoder_vocab_size": None}, classifies=False
        ),
        Architecture("rembert", "wordpiece", "encoder.layer.{}.attention.output.dense"),
        Architecture("megatron-bert", "wordpiece", "encoder.layer.{}.attention.output.dense"),
        Architecture(
            "gpt_neo",
            "causal",
            "h.{}.attn.attention.out_proj",
            {
                "hidden_size": WIDTH,
                "num_layers": N_LAYERS,
                "num_heads": N_HEADS,
                "attention_types": [[["global", "local", "global"], 1]],
                "window_size": 8,
            },
        ),
        Architecture("gptj", "causal", "h.{}.attn.out_proj", {**_GPT, "rotary_dim": 4}),
        Architecture("codegen", "causal", "h.{}.attn.out_proj", {**_GPT, "rotary_dim": 4}, classifies=False),
        Architecture("openai-gpt", "causal", "h.{}.attn.c_proj", _GPT),
    )
}
"""Those that only the test of all architectures makes."""


CHATML = (
    "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\\nYou help Anna.<|im_end|>\\n' }}{% endif %}"
    "{% for one in messages %}{{ '<|im_start|>' + one.role + '\\n' + one.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""A chat template that begins with a system message of its own, as Qwen's does."""


def make_checkpoint(
    folder: Path,
    model_type: str = "bert",
    *,
    task: str = "sequence-classification",
    seed: int = 0,
    chat_template: str | None = None,
    **options: Any,
) -> Path:
    """Write a random checkpoint with a task head (or `none`) into a folder and return the folder.

    Of encoder-decoders, `none` names a class that reads the encoder alone, and `seq2seq` both stacks without a head.

    Weights are drawn wide, because near-uniform attention would hide mistakes. With a chat template the tokenizer has
    ChatML's two marks.
    """
    architecture = (ARCHITECTURES | MORE_ARCHITECTURES)[model_type]
    tokenizer = make_tokenizer(architecture.tokenizer)
    if chat_template is not None:
        tokenizer = copy.deepcopy(tokenizer)
        tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
        tokenizer.chat_template = chat_template
    ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos", "cls", "sep")}
    if model_type in ("t5", "mt5", "umt5", "pegasus", "marian"):
        ids["decoder_start_token_id"] = tokenizer.pad_token_id
    labels = {"id2label": {0: "no", 1: "perhaps", 2: "yes"}} if task.endswith("classification") else {}
    config = CONFIG_MAPPING[model_type](
        initializer_range=0.3,
        **({} if model_type == "xlnet" else {"max_position_embeddings": 160}),  # XLNet's positions have no bound
        **{"vocab_size": len(tokenizer), **labels, **architecture.options, **ids, **options},
    )
    torch.manual_seed(seed)
    model = _CLASSES[task].from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.2)  # libraries start biases at zero, which hides a forgotten one
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if config.is_encoder_decoder and task == "none":
        written = json.loads((folder / "config.json").read_text())
        named = [name.replace("Model", "EncoderModel") for name in written["architectures"]]
        (folder / "config.json").write_text(json.dumps(written | {"architectures": named}))
    return folder


@cache
def make_tokenizer(kind: str) -> PreTrainedTokenizerFast:
    """Train a tokenizer on a few sentences.

    `wordpiece` is BERT's; `roberta` and `causal` are byte-level BPE with and without a format for pairs; `unigram` is
    SentencePiece's as T5 and XLM-R have it; `fallback` is the BPE of Llama 2, which spells unknown characters in bytes.
    """
    if kind == "wordpiece":
        return _wordpiece()
    if kind in ("unigram", "fallback", "xlnet"):
        return _sentencepiece(kind)
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
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    entries = [*special, *_pieces([word.lower() for word in WORDS], size=195, inside="##")]
    vocabulary = {entry: index for index, entry in enumerate(entries)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(special)
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


def _pieces(words: list[str], size: int, inside: str = "") -> list[str]:
    """All characters of some words, and the longer strings in them that save most; the most useful first.

    The trainers of `tokenizers` order equally frequent entries differently in each process, and a test that fails must
    fail again.
    """
    counts: Counter[str] = Counter()
    for word in words:
        for start in range(len(word)):
            for end in range(start + 1, min(start + 7, len(word) + 1)):
                counts[inside * (start > 0) + word[start:end]] += 1
    characters = {mark + character for word in words for character in word for mark in {"", inside}}
    by_use = sorted(counts, key=lambda piece: (-counts[piece] * len(piece.removeprefix(inside)), piece))
    longer = [piece for piece in by_use if piece not in characters][: size - len(characters)]
    return longer + sorted(characters)


def _sentencepiece(kind: str) -> PreTrainedTokenizerFast:
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    if kind != "fallback":
        pieces = _pieces([f"▁{word}" for word in " ".join(TEXT).split()], size=240)
        scored = [*((entry, 0.0) for entry in special), *((piece, -1.0 - index) for index, piece in enumerate(pieces))]
        tokenizer = Tokenizer(models.Unigram(scored, unk_id=special.index("<unk>")))
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.add_special_tokens(special)
    else:
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        trainer = trainers.BpeTrainer(
            vocab_size=500,
            special_tokens=[*special, *(f"<0x{byte:02X}>" for byte in range(256))],
            show_progress=False,
        )
        tokenizer.train_from_iterator(TEXT, trainer)
    end = "</s> <s>" if kind == "xlnet" else "</s>"  # XLNet's <cls> comes last
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {end}", pair=f"$A </s> $B {end}", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_input_names=["input_ids", "attention_mask"],
    )


def copy_without(source: Path, target: Path, *left_out: str) -> Path:
    """Copy a checkpoint without some of its files."""
    shutil.copytree(source, target, ignore=lambda _, names: [name for name in names if name in left_out])
    return target


def edited_config(source: Path, target: Path, **changes: Any) -> Path:
    """Copy a checkpoint with some entries of its configuration changed; None takes an entry out."""
    shutil.copytree(source, target)
    config = json.loads((target / "config.json").read_text()) | changes
    (target / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
    return target
