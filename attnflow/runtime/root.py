"""Which tokens of a text at hand the score of a checkpoint reads."""

from __future__ import annotations

import numpy as np

from attnflow.checkpoints.architectures import architecture
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.records.root import Root, as_root
from attnflow.records.trace import SPECIAL, Encoding


def root_of(checkpoint: Checkpoint, encoding: Encoding) -> Root:
    """The token, or the tokens, whose last embeddings the score of a checkpoint reads.

    A classifier of texts reads what `Checkpoint.reading` says; a language model the first mask or, for the next token,
    the last one; a classifier of tokens the first word, unless asked for another. Without a head, or without a mask,
    the token that a task would read.
    """
    position = scored_position(checkpoint, encoding)
    if position is not None:
        return position
    size = len(encoding.tokens)
    match checkpoint.root:
        case "first":
            return 0
        case "last":
            return _end(checkpoint, encoding)
        case "all":
            return as_root(range(size))
        case "words":
            words = np.flatnonzero(encoding.tokens.sentence != SPECIAL)
            return as_root(words.tolist() or range(size))


def scored_position(checkpoint: Checkpoint, encoding: Encoding) -> int | None:
    """The token whose score is meant where each token has scores of its own and nobody says which.

    None where the text has one set of scores, and where nothing is scored: without a trained head or without a mask.
    """
    if not checkpoint.head.trained:
        return None
    match checkpoint.head.kind:
        case "causal-lm" | "seq2seq-lm":
            return len(encoding.tokens) - 1
        case "token-classification":
            return int((encoding.tokens.sentence != SPECIAL).argmax())
        case "masked-lm":
            mask = checkpoint.tokenizer.facts.mask
            masked = np.flatnonzero(encoding.inputs["input_ids"] == mask)  # none where there is no mask
            return int(masked[0]) if len(masked) else None
    return None


def _end(checkpoint: Checkpoint, encoding: Encoding) -> int:
    """The last token; a causal classifier finds it by its padding, also where someone wrote a padding token."""
    ids, padding = encoding.inputs["input_ids"], checkpoint.padding
    ends_anyway = architecture(checkpoint.model.config.model_type).ends_with_root
    if not checkpoint.head.classifies_texts or padding is None or ends_anyway:
        return len(ids) - 1
    written = np.flatnonzero(ids != padding)
    return int(written[-1]) if len(written) else 0
