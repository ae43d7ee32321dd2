"""What an encoder-decoder reads: the pieces of a source, and after them those of the target so far."""

from __future__ import annotations

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.checkpoints.tokenizer_messages import MOST_PIECES
from attnflow.checkpoints.tokenizer_pieces import PairPieces
from attnflow.errors import TextError, UnsupportedArchitectureError
from attnflow.records.trace import AGAIN


def source_and_target(checkpoint: Checkpoint, source: str, target: str | None, most: int | None) -> PairPieces:
    """Pieces of both on one axis; `inputs["target"]` is 1 where the decoder reads.

    The decoder reads what transformers shifts the labels to in training: its start token, what the tokenizer writes
    before a target (BART's `<s>`, a language), and the target without what ends it. So its last token predicts what is
    written next: without a target, the first piece of one.

    Args:
        checkpoint: An encoder-decoder that is read whole.
        source: What the encoder reads.
        target: What is written so far; None for nothing.
        most: Most tokens of both together; None for no bound.

    Returns:
        Sentence 0 is the source, 1 the target. Only counted where there are more than `most`, or more than can be told.

    Raises:
        TextError: If source or target has more tokens than the model has positions for.
    """
    tokenizer, bound = checkpoint.tokenizer, checkpoint.max_tokens
    read = tokenizer.pair(source, None, most)
    written = tokenizer.target(target, most) if target else None
    if written is not None and written.count and 0 not in (written.sentence or [0]):
        written = None  # the tokenizer finds nothing in it
    ended = tokenizer.target(source, most) if written is None else written
    for name, pieces in (("source", read), ("target", written)):
        if bound is not None and pieces is not None and pieces.count > bound:
            raise TextError(
                f"The {name} is {pieces.count} tokens long for {checkpoint.name}; the limit is {bound}. "
                f"Shorten it by about {pieces.count - bound} tokens."
            )
    opened = _before_text(ended) if written is None else written
    if not read.pieces or not ended.pieces:  # one of them is too long to be told
        return PairPieces(read.count + opened.count + 1)
    start = ended.inputs["input_ids"][-1] if checkpoint.starts_with is None else checkpoint.starts_with
    words = [at for at, part in enumerate(opened.sentence) if part is not None]
    end = words[-1] + 1 if words else len(opened.pieces)
    ids = [start, *opened.inputs["input_ids"][:end]]
    size = len(read.pieces) + len(ids)
    if size > (MOST_PIECES if most is None else min(most, MOST_PIECES)):
        return PairPieces(size)
    return PairPieces(
        count=size,
        inputs={
            "input_ids": [*read.inputs["input_ids"], *ids],
            "attention_mask": [1] * size,
            "target": [0] * len(read.pieces) + [1] * len(ids),
        },
        pieces=[*read.pieces, tokenizer.pieces([start])[0] or str(start), *opened.pieces[:end]],
        sentence=[*read.sentence, None, *(None if part is None else 1 for part in opened.sentence[:end])],
        offsets=[*read.offsets, (0, 0), *opened.offsets[:end]],
    )


def read_again(checkpoint: Checkpoint, made: PairPieces) -> PairPieces:
    """A text as the encoder of a model that scores it reads it, and after it the same as its decoder does.

    transformers shifts the text by one token to the right, as if the decoder were to write it, and puts before it the
    token that begins a target or, where a text ends with its language (mBART), that language. So whatever is scored of
    a token is read where that token would be written. A class is read where the `</s>` that ends the text would be.
    That is the last token of the decoder here: what it would read after that no class depends on, and so it does not.

    Args:
        checkpoint: An encoder-decoder that classifies texts or answers questions.
        made: Its text.

    Raises:
        UnsupportedArchitectureError: If its tokenizer does not end a text as its score wants it.
    """
    ids, end = made.inputs["input_ids"], checkpoint.model.config.eos_token_id
    answers = checkpoint.head.kind == "question-answering"  # each token has a score
    size = len(ids) if answers else len(ids) - ids[::-1].index(end) if end in ids else 0
    if not size or any(part is not None for part in made.sentence[size:]):
        raise UnsupportedArchitectureError(
            f"{checkpoint.name} reads its score at the token that ends a text, and its tokenizer writes none there; "
            "choose another checkpoint."
        )
    start = checkpoint.starts_with
    if start is None:  # the last token that is no padding, as transformers wraps a text
        start = ids[sum(one != checkpoint.padding for one in ids) - 1]
    before = slice(0, size - 1)
    return PairPieces(
        count=len(ids) + size,
        inputs={
            "input_ids": [*ids, start, *ids[before]],
            "attention_mask": [1] * (len(ids) + size),
            "target": [0] * len(ids) + [1] * size,
        },
        pieces=[*made.pieces, checkpoint.tokenizer.pieces([start])[0] or str(start), *made.pieces[before]],
        sentence=[*made.sentence, None, *(None if part is None else part + AGAIN for part in made.sentence[before])],
        offsets=[*made.offsets, (0, 0), *made.offsets[before]],
        separator=made.separator,
    )


def _before_text(read: PairPieces) -> PairPieces:
    """What a tokenizer writes before a target, as one that has no text yet; empty if it writes nothing there."""
    first = next((at for at, part in enumerate(read.sentence) if part is not None), 0)
    ids = {"input_ids": read.inputs.get("input_ids", [])[:first]}
    return PairPieces(first, ids, read.pieces[:first], [None] * first, [(0, 0)] * first)
