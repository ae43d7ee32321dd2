"""Which tokens of a text at hand the score of a checkpoint reads."""

from __future__ import annotations

import numpy as np

from attnflow.checkpoints.architectures import architecture
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.checkpoints.task_head import TaskHead
from attnflow.errors import SelectionError
from attnflow.records.root import Root, as_root
from attnflow.records.token_scores import AnswerEnds, TokenScores
from attnflow.records.trace import SPECIAL, Encoding


def root_of(checkpoint: Checkpoint, encoding: Encoding, scored: TokenScores | None = None) -> Root:
    """The token, or the tokens, whose last embeddings the score of a checkpoint reads.

    A classifier of texts reads what `Checkpoint.reading` says; a language model the first mask or, for the next token,
    the last one; a classifier of tokens the first word; one that answers questions where the answer begins. Each of
    these another one, if that is asked for (`Encoding.at`). Without a head, or without a mask, the token that a task
    would read.

    Args:
        checkpoint: The model.
        encoding: What it reads.
        scored: What it said of each token; without, it is not known where an answer begins (`root_is_known`).
    """
    position = scored_position(checkpoint, encoding)
    if position is None and isinstance(scored, AnswerEnds) and scored.spans:
        position = scored.spans[0].start
    if position is not None:
        return position
    size = len(encoding.tokens)
    match checkpoint.root:
        case "first":
            return 0
        case "last":
            return size - 1 if checkpoint.stacks else _end(checkpoint, encoding)
        case "all":
            return as_root(range(size))
        case "words":
            words = np.flatnonzero(encoding.tokens.sentence != SPECIAL)
            return as_root(words.tolist() or range(size))


def root_is_known(checkpoint: Checkpoint, encoding: Encoding) -> bool:
    """Whether what is read is known without a run: where an answer begins is not."""
    head = checkpoint.head
    return not (head.trained and head.kind == "question-answering") or encoding.position is not None


def at_position(head: TaskHead, name: str, encoding: Encoding, position: int | None) -> Encoding:
    """The same text, of which the prediction of a checkpoint at one token is meant; at the usual one if None.

    Args:
        head: Of the checkpoint.
        name: What it is called, for errors.
        encoding: The text.
        position: The token.

    Raises:
        SelectionError: If there is no such token, or if the checkpoint predicts nothing of single tokens.
    """
    if position is not None and not head.trained:
        raise SelectionError(
            f"position is {position!r}; {name} has no trained task head, so it predicts nothing of a token; "
            "leave it out."
        )
    if position is not None and not head.reads_one_token:
        raise SelectionError(f"position is {position!r}; {name} classifies the whole text, so leave it out.")
    found, first = encoding.at(position), encoding.tokens.n_source or 0
    if position is not None and position < first:
        raise SelectionError(
            f"position is {position}, a token of the source, which predicts nothing; give one of the target, "
            f"{first} to {len(encoding.tokens) - 1}."
        )
    return found


def scored_position(checkpoint: Checkpoint, encoding: Encoding) -> int | None:
    """The token whose score is meant where each token has scores of its own and nobody says which.

    None where the text has one set of scores, where nothing is scored (without a trained head or without a mask), and
    of an answer, before it is found.
    """
    if not checkpoint.head.reads_one_token:
        return None
    if encoding.position is not None:
        return encoding.position
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
