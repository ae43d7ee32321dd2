"""Which stacks of an encoder-decoder are read, and what must be known to run both as one model."""

from __future__ import annotations

from typing import Literal

from transformers.configuration_utils import PreTrainedConfig
from transformers.modeling_utils import PreTrainedModel
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_QUESTION_ANSWERING_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
)

from attnflow.checkpoints.architectures import architecture
from attnflow.checkpoints.compat import n_entries
from attnflow.checkpoints.task_head import head_kind
from attnflow.checkpoints.tokenizer_reader import TokenizerFacts
from attnflow.errors import UnsupportedArchitectureError
from attnflow.records.stacks import Stacks

_OF_GIVEN_TEXTS = {
    "sequence-classification": MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    "question-answering": MODEL_FOR_QUESTION_ANSWERING_MAPPING,
}
"""The heads with which a decoder reads again what its encoder has read, and what transformers has them for."""


def read_stacks(config: PreTrainedConfig, *, translates: bool) -> Literal["both", "encoder"] | None:
    """Which stacks of an encoder-decoder are read; None of a model that is none.

    The encoder alone where a file has no decoder or another head, or where nothing tells in which language a target
    begins that is to be written.

    Args:
        config: Of the model.
        translates: Whether its tokenizer's settings tell that language.
    """
    known, kind = architecture(config.model_type), head_kind(config.architectures or [])
    if not known.stacks:
        return None
    if config.is_encoder_decoder and kind in _OF_GIVEN_TEXTS:
        return "both" if type(config) in _OF_GIVEN_TEXTS[kind] else "encoder"
    if not config.is_encoder_decoder or (known.translates and not translates):
        return "encoder"
    plain = kind == "none" and not any("For" in str(one) or "Encoder" in str(one) for one in config.architectures or [])
    return "both" if kind == "seq2seq-lm" or plain else "encoder"


def find_stacks(model: PreTrainedModel, n_encoder: int, n_heads: int, name: str) -> tuple[Stacks, int | None]:
    """How the stacks of an encoder-decoder that is read whole are one model, and the token that begins its targets.

    Args:
        model: As it was read.
        n_encoder: Layers of its encoder.
        n_heads: Heads of each layer.
        name: What the checkpoint is called, for errors.

    Returns:
        No token where a target begins with the one that ends it.

    Raises:
        UnsupportedArchitectureError: If its configuration does not tell.
    """
    config = model.config
    n_decoder = getattr(config, "decoder_layers", None) or getattr(config, "num_decoder_layers", None)
    start = getattr(config, "decoder_start_token_id", None)
    start = config.pad_token_id if start is None and config.model_type == "t5" else start
    wraps = architecture(config.model_type).wraps
    known = wraps or (isinstance(start, int) and 0 <= start < n_entries(model))
    if not isinstance(n_decoder, int) or not known:
        lack = "with which token a target begins" if isinstance(n_decoder, int) else "how many layers its decoder has"
        raise UnsupportedArchitectureError(f"{name} cannot be analysed: its config.json does not tell {lack}.")
    return Stacks(n_encoder, n_decoder, n_heads), None if wraps else start


def languages_note(
    facts: TokenizerFacts, model_type: str, *, stacks: Literal["both", "encoder"] | None, writes: bool
) -> tuple[str, ...]:
    """What must be known of the languages that a model reads and writes.

    Args:
        facts: Of its tokenizer.
        model_type: Of the model.
        stacks: Which of its stacks are read.
        writes: Whether its decoder, if that is read, writes a text of its own.
    """
    codes, translates = facts.languages, architecture(model_type).translates
    if stacks == "both" and not translates and len(codes) > 1:
        example = f"begin the source with one of them, as in {codes[0]} Anna reads."
        return (f"It translates into {len(codes)} languages; {example}",)
    if stacks == "both" and translates and facts.translates is not None:
        source, target = facts.translates
        settings = f"{source} and writes {target} (src_lang, tgt_lang)" if writes else f"{source} (src_lang)"
        told = f"By the settings of its tokenizer it reads {settings}"
        if codes:
            told += f"; begin a text with another of its {len(codes)} languages where it is in that ({codes[0]} …)"
        return (f"{told}.",)
    if stacks == "encoder" and translates and facts.translates is None:
        return ("The settings of its tokenizer do not tell in which language it writes, so its encoder is read alone.",)
    return ()


def check_one_stack(stacks: Stacks | None, name: str, what: str) -> None:
    """Refuse what would count tokens that take no part in a layer as attending to themselves.

    Args:
        stacks: Of the checkpoint.
        name: What it is called.
        what: What cannot be had, as a sentence begins with it, in the plural.

    Raises:
        UnsupportedArchitectureError: If it is an encoder-decoder that is read whole.
    """
    if stacks is not None:
        raise UnsupportedArchitectureError(
            f"{what} cannot be had of {name}: it is an encoder-decoder, in each of whose layers some tokens take no "
            "part, and these are defined for models of one stack. Choose an encoder or a decoder."
        )
