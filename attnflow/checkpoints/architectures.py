"""The one table of what is known of architectures; one that is not in it runs as transformers says it does.

To add an architecture that transformers runs through its attention interface, nothing is to be done. One that it runs
otherwise is one entry here, and one line of `tests/checkpoints.py`, which sends it through every analysis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ATTENTION = "attnflow"
"""The `attn_implementation` of models that are analysed: the name of the attention function that can be watched."""


@dataclass(frozen=True)
class Architecture:
    """What must be known of one architecture before a model of it runs."""

    model_type: str
    """As `config.json` names it."""
    interface: bool | None = None
    """Whether its attention runs through transformers' attention interface; None: as transformers itself says."""
    watched: Mapping[str, str] = field(default_factory=dict)
    """Where it does not: for each class of attention module, whose heads' probabilities are the result of its softmax,
    the parameter that maps the heads' outputs to the model's width. Such modules are watched from outside."""
    reads: Literal["first", "last"] | None = None
    """The token whose last embedding its tasks read; None: of causal models the last, of others the first."""
    stacks: bool = False
    """Whether it is an encoder-decoder; its encoder is analysed by itself where a file has no decoder, or a head that
    is not read."""
    translates: bool = False
    """Whether its targets hold their language, which its tokenizer's settings must tell; else its encoder is read."""
    wraps: bool = False
    """Whether its decoder begins with the token that ends a target (mBART), and not with one that config.json tells."""
    ends_with_root: bool = False
    """Whether the root is the last token whatever it is; else a causal classifier's text ends where padding begins."""
    entered: str | None = None
    """The class of module that is given what enters the first layer, where something beside that layer reads it."""
    tokens_first: bool = False
    """Whether its layers take `[T, B, D]` instead of `[B, T, D]`; they are not steered."""
    padded: bool = True
    """Whether texts of different lengths may run as one batch, the shorter ones filled up on the right. One by one if
    not; of all others it is tried with each checkpoint before it is relied upon."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Settings of its configuration under which, if true, it cannot be analysed, and why."""


_BERT = "output.dense.weight"
_TALKING = {"talking_head": "it mixes the attention of its heads after the softmax"}
_SLICED = {"slow_but_exact": "its slow_but_exact output projection is computed in slices; set it to false"}
_TWICE = {"alibi": "transformers adds its position biases (alibi) twice wherever attention is recorded"}

ARCHITECTURES: dict[str, Architecture] = {
    row.model_type: row
    for row in (
        *(Architecture(name, stacks=True) for name in ("t5", "mt5", "umt5", "bart", "pegasus", "marian")),
        *(Architecture(name, stacks=True, translates=True, wraps=True) for name in ("mbart", "plbart")),
        Architecture("m2m_100", stacks=True, translates=True),
        Architecture("biogpt", interface=True),
        Architecture("stablelm", interface=True),
        Architecture("deberta", watched={"DebertaAttention": _BERT}, reads="first", refused=_TALKING),
        Architecture(
            "deberta-v2",  # some of which put a convolution of the embeddings beside their first layer
            watched={"DebertaV2Attention": _BERT},
            reads="first",
            entered="DebertaV2Encoder",
            refused=_TALKING,
        ),
        Architecture("roformer", watched={"RoFormerAttention": _BERT}, reads="first"),
        Architecture("mpnet", watched={"MPNetSelfAttention": "o.weight"}, reads="first"),
        Architecture(
            "xlnet",  # its <cls> comes last, and its classifier reads the last position of a batch, padding or not
            watched={"XLNetRelativeAttention": "o"},
            reads="last",
            ends_with_root=True,
            tokens_first=True,
            padded=False,
            refused={"bi_data": "it reads each text both ways at once (bi_data)"},
        ),
        Architecture("rembert", watched={"RemBertAttention": _BERT}, reads="first"),
        Architecture("megatron-bert", watched={"MegatronBertAttention": _BERT}, reads="first"),
        Architecture("bloom", watched={"BloomAttention": "dense.weight"}, reads="last", refused=_SLICED),
        Architecture("falcon", watched={"FalconAttention": "dense.weight"}, reads="last", refused=_TWICE),
        Architecture("mpt", watched={"MptAttention": "out_proj.weight"}, reads="last"),
        Architecture("gpt_neo", watched={"GPTNeoSelfAttention": "out_proj.weight"}, reads="last"),
        Architecture("gptj", watched={"GPTJAttention": "out_proj.weight"}, reads="last"),
        Architecture("codegen", watched={"CodeGenAttention": "out_proj.weight"}, reads="last"),
        Architecture("openai-gpt", watched={"Attention": "c_proj.weight"}, reads="last"),
    )
}
"""What is known, by model type."""


def architecture(model_type: object) -> Architecture:
    """What is known of a model type; nothing but its name if it is not in the table."""
    return ARCHITECTURES.get(str(model_type)) or Architecture(str(model_type))


def encoder_decoders() -> list[str]:
    """The encoder-decoders that are analysed, in the order of the table."""
    return [name for name, row in ARCHITECTURES.items() if row.stacks]


def refusal(config: Mapping[str, Any]) -> str | None:
    """Why a configuration of an architecture that is analysed cannot be analysed after all, or None."""
    known = architecture(config.get("model_type"))
    if known.stacks:
        if config.get("encoder_attention_heads") != config.get("decoder_attention_heads"):
            return "its encoder and its decoder have not the same number of heads"
        if config.get("share_encoder_decoder_embeddings") is False:
            return "its encoder and its decoder have vocabularies of their own"
    width, own = config.get("word_embed_proj_dim"), config.get("hidden_size", 768)
    if known.model_type == "opt" and width is not None and width != own:
        return f"its last embeddings are not as wide as its layers (word_embed_proj_dim {width}, hidden_size {own})"
    if known.model_type == "albert" and config.get("inner_group_num") not in (None, 1):
        return "each of its layers is several (inner_group_num)"
    return next((reason for setting, reason in known.refused.items() if config.get(setting)), None)


def heads_per_key(config: object, n_heads: int) -> int:
    """How many heads share one key and value: more than one with grouped or multi-query attention.

    Args:
        config: Of the model that reads text.
        n_heads: `H`
    """
    if getattr(config, "multi_query", False):  # Falcon's word for a single key for all
        return n_heads
    return n_heads // (getattr(config, "num_key_value_heads", None) or n_heads)
