"""What a model takes at most: pieces of a text, kinds of sentences, and numbers of special tokens."""

from __future__ import annotations

import torch
from transformers.modeling_utils import PreTrainedModel

from attnflow.checkpoints.tokenizer_reader import TokenizerReader
from attnflow.errors import CheckpointError

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


def special_notes(n_entries: int, tokenizer: TokenizerReader, name: str) -> tuple[str, ...]:
    """What must be known of special tokens that have no embedding, or one that nobody may have trained.

    Args:
        n_entries: How many entries of the vocabulary the model has an embedding of.
        tokenizer: Whose tokens they are.
        name: What the checkpoint is called, for errors.

    Raises:
        CheckpointError: If one that has no embedding is written with each text.
    """
    facts = tokenizer.facts
    numbers = sorted(index for index in facts.special if index >= n_entries)
    beyond = [str(token) for token in tokenizer.pieces(numbers)]
    within = [token for token in facts.unnumbered if token not in beyond]
    if beyond:
        written = tokenizer.pair("a", None, None).inputs["input_ids"]
        always = next((token for index, token in zip(numbers, beyond, strict=True) if index in written), None)
        if always is not None:
            raise CheckpointError(
                f"{name} cannot be analysed: its tokenizer writes {always[:60]} with each text, and its weights have "
                f"no embedding for that, only for {n_entries:,} entries. Choose another checkpoint."
            )
    notes = [
        f"Its tokenizer has {_listed(beyond)}, for which the model has no embedding; a text in which that is written "
        "is refused."
        if beyond
        else "",
        f"Its tokenizer has {_listed(within)} by the name of its class or by a setting alone: no file gives that a "
        "number, so it reads the embedding after those of the file, which may never have been trained."
        if within
        else "",
    ]
    return tuple(filter(None, notes))


def _listed(tokens: list[str]) -> str:
    most = 4
    more = f" and {len(tokens) - most} more" if len(tokens) > most else ""
    return ", ".join(token[:60] for token in tokens[:most]) + more
