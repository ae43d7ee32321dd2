"""What a model takes at most: pieces of a text, and kinds of sentences."""

from __future__ import annotations

import torch
from transformers.modeling_utils import PreTrainedModel

from attnflow.checkpoints.tokenizer_reader import TokenizerReader

_UNBOUNDED = 10**9
"""A bound of that many tokens is none, as transformers' own number for a tokenizer without one."""


def token_types(model: PreTrainedModel) -> int | None:
    """How many kinds of sentences a model has embeddings for; None if it does not tell them apart by such."""
    tables = (module for name, module in model.named_modules() if name.endswith("token_type_embeddings"))
    return next((table.num_embeddings for table in tables if isinstance(table, torch.nn.Embedding)), None)


def longest_input(model: PreTrainedModel, tokenizer: TokenizerReader) -> int | None:
    """Most pieces that the position embeddings and the tokenizer allow; None if any number."""
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if not isinstance(positions, int) or positions <= 0:  # relative positions have no bound
        positions = _UNBOUNDED
    for name, module in model.named_modules():
        # RoBERTa and its kin count positions from padding_idx + 1, so that many embeddings are never used.
        padding = getattr(module, "padding_idx", None)
        if name.endswith("position_embeddings") and isinstance(padding, int):
            positions -= padding + 1
    longest = min(positions, tokenizer.facts.longest)
    return None if longest >= _UNBOUNDED else longest
