"""Which stacks of an encoder-decoder are read, and what must be known to run both as one model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from transformers.configuration_utils import PreTrainedConfig
from transformers.modeling_utils import PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING

from attnflow.checkpoints.architectures import architecture
from attnflow.checkpoints.compat import n_entries
from attnflow.checkpoints.task_head import head_kind
from attnflow.errors import UnsupportedArchitectureError
from attnflow.records.stacks import Stacks


def read_stacks(config: PreTrainedConfig) -> Literal["both", "encoder"] | None:
    """Which stacks of an encoder-decoder are read: the encoder alone where a file has no decoder or another head."""
    known, kind = architecture(config.model_type).stacks, head_kind(config.architectures or [])
    if known != "both" or not config.is_encoder_decoder:
        return known and "encoder"
    named = [str(one) for one in config.architectures or []]
    whole = kind == "seq2seq-lm" or (kind == "none" and not any("For" in one or "Encoder" in one for one in named))
    whole = whole or (kind == "sequence-classification" and type(config) in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING)
    return "both" if whole else "encoder"


def find_stacks(model: PreTrainedModel, n_encoder: int, n_heads: int, name: str) -> tuple[Stacks | None, int | None]:
    """How the stacks of an encoder-decoder that is read whole are one model, and the token that begins its targets.

    Args:
        model: As it was read.
        n_encoder: Layers of its encoder, or of a model of one stack, for which both are None.
        n_heads: Heads of each layer.
        name: What the checkpoint is called, for errors.

    Raises:
        UnsupportedArchitectureError: If its configuration does not tell.
    """
    if read_stacks(model.config) != "both":
        return None, None
    config = model.config
    n_decoder = getattr(config, "decoder_layers", None) or getattr(config, "num_decoder_layers", None)
    start = getattr(config, "decoder_start_token_id", None)
    start = config.pad_token_id if start is None and config.model_type == "t5" else start
    if not isinstance(n_decoder, int) or not isinstance(start, int) or not 0 <= start < n_entries(model):
        lack = "with which token a target begins" if isinstance(n_decoder, int) else "how many layers its decoder has"
        raise UnsupportedArchitectureError(f"{name} cannot be analysed: its config.json does not tell {lack}.")
    return Stacks(n_encoder, n_decoder, n_heads), start


def languages_note(codes: Sequence[str]) -> tuple[str, ...]:
    """What must be known to write a source for a model that translates into several languages.

    Args:
        codes: What a source may begin with.
    """
    if len(codes) < 2:
        return ()
    told = f"It translates into {len(codes)} languages; begin the source with one of them, as in {codes[0]} Anna reads."
    return (told,)


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
