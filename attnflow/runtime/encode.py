"""Turns a sentence pair into what a model reads, and finds the characters and the word of every piece."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.checkpoints.tokenizer_messages import MOST_PIECES
from attnflow.checkpoints.tokenizer_pieces import PairPieces
from attnflow.errors import LongTextError, SelectionError, TextError, UnsupportedArchitectureError
from attnflow.records.trace import SPECIAL, Encoding, Tokens, is_whole
from attnflow.records.words import CONTINUES, entry_text, join_words, piece_span, word_of_piece, word_spans
from attnflow.runtime.source_target import read_again, source_and_target


def encode(
    checkpoint: Checkpoint,
    text_a: str,
    text_b: str | None = None,
    *,
    chat: bool = False,
    truncate: bool = False,
    max_tokens: int | None = None,
) -> Encoding:
    """Tokenize a sentence pair.

    A tokenizer without a format for pairs (GPT-2's) would run the sentences together; between them is put its
    separator, else its end-of-text token, else a line break, and `Encoding.separator` tells which.

    A model that has not as many kinds of sentences (token types) as its tokenizer tells apart is given one kind, and
    `Encoding.one_kind` says so.

    With `chat`, the model reads a conversation in the chat template of its tokenizer: the first sentence is the user's
    message, and the second, if there is one, the assistant's answer. For a model that predicts the next token the
    conversation ends where the assistant is to begin (`add_generation_prompt`) or, with a second sentence, right after
    that, so that the answer is not closed; for any other model, such as one that scores answers, it is whole. What the
    template adds are special tokens, its words (a role, a system message of its own) included. A piece that runs across
    the border of a sentence belongs to that, with the characters that lie in it.

    An encoder-decoder that is read whole takes the first sentence as the source and the second as the target so far,
    with the token that begins a target before it (`source_and_target`); `Tokens.n_source` tells where that begins. One
    that classifies takes the pair as its source, and its decoder reads the same again, one token behind (`read_again`).

    Args:
        checkpoint: Whose tokenizer reads it.
        text_a: The first sentence.
        text_b: The second sentence; None or empty for a single one.
        chat: Whether the chat template is applied.
        truncate: Cut what is too long, token by token from the end of the longer sentence, as tokenizers do
            (`longest_first`); `Encoding.cut` tells how many went.
        max_tokens: Most tokens, special ones included, where that is less than `checkpoint.max_tokens`; what is read
            again counts again.

    Raises:
        TextError: If the first sentence is empty, or the pair is longer than allowed and is not to be cut, or if
            there is no room for a word beside the special tokens, or no chat template where one is to be applied, or
            no second sentence where the checkpoint is to find an answer in it.
        SelectionError: If `max_tokens` is no whole number from 1.
        CheckpointError: If the tokenizer fails, or its chat template does, or does not write the sentences as they are.

    Example:
        >>> from attnflow import load_checkpoint
        >>> encode(load_checkpoint("demo/finetuned"), "Anna met Paul.").tokens.text
        ('[CLS]', 'Anna', 'met', 'Paul', '.', '[SEP]')
    """
    writes = checkpoint.stacks is not None and not checkpoint.reads_again
    text_a, text_b = _checked_texts(text_a, text_b, checkpoint.name if writes else "")
    bound = _bound(checkpoint, max_tokens)
    made = _read(checkpoint, text_a, text_b, chat, None if truncate else bound)
    cut = 0 if bound is None else max(0, made.count - bound)
    if cut and not truncate:
        raise LongTextError(
            f"This text is {made.count} tokens long for {checkpoint.name}; the limit is {bound}. "
            f"Shorten it by about {cut} token{'s' * (cut != 1)}"
        )
    if made.count and not made.pieces:
        raise TextError(
            f"This text is {made.count} tokens long for {checkpoint.name}; its tokenizer tells at most {MOST_PIECES} "
            "at once. Shorten it."
        )
    if 0 not in made.sentence:
        raise TextError(f"The tokenizer of {checkpoint.name} finds nothing in the first sentence; write a word in it.")
    if checkpoint.head.trained and checkpoint.head.kind == "question-answering" and 1 not in made.sentence:
        raise TextError(
            f"{checkpoint.name} finds the answer to a question in a text; write the question as the first sentence and "
            "the text that it asks about as the second."
        )
    made = _cut(made, made.count - cut, checkpoint) if cut else made
    made = read_again(checkpoint, made) if checkpoint.reads_again else made
    inputs = {name: np.asarray(values, np.int64) for name, values in made.inputs.items()}
    n_source = int((inputs["target"] == 0).sum()) if "target" in inputs else None
    tokens = _place(made, (text_a, text_b or ""), n_source)
    _check_vocabulary(checkpoint, inputs["input_ids"])
    one_kind = checkpoint.n_token_types is not None and bool(
        inputs.get("token_type_ids", np.zeros(1)).max() >= checkpoint.n_token_types
    )
    if one_kind:
        inputs["token_type_ids"] = np.zeros_like(inputs["token_type_ids"])
    return Encoding(text_a, text_b, tokens, inputs, made.separator, cut, one_kind, chat)


def _read(checkpoint: Checkpoint, text_a: str, text_b: str | None, chat: bool, most: int | None) -> PairPieces:
    """What the tokenizer makes of a pair."""
    if checkpoint.stacks is not None and chat:
        raise TextError(f"{checkpoint.name} is an encoder-decoder, which reads no conversations; do without.")
    if checkpoint.stacks is not None and not checkpoint.reads_again:
        return source_and_target(checkpoint, text_a, text_b, most)
    if not chat:
        return checkpoint.tokenizer.pair(text_a, text_b, most)
    if not checkpoint.tokenizer.facts.has_chat_template:
        raise TextError(
            f"{checkpoint.name} has no chat template that could be applied; do without, or choose a checkpoint that "
            "was trained for conversations."
        )
    return checkpoint.tokenizer.chat(text_a, text_b, most, checkpoint.head.kind == "causal-lm")


def _bound(checkpoint: Checkpoint, max_tokens: int | None) -> int | None:
    """Most tokens: the smaller of two bounds, of which either may be none."""
    if max_tokens is not None and (not is_whole(max_tokens) or max_tokens < 1):
        raise SelectionError(f"max_tokens is {max_tokens!r}; give a whole number from 1, or none for the model's own.")
    own = checkpoint.max_tokens
    if checkpoint.reads_again:
        max_tokens = None if max_tokens is None else max_tokens // 2
    elif checkpoint.stacks is not None:
        own = None  # for it bounds source and target each
    return min((bound for bound in (own, max_tokens) if bound is not None), default=None)


def _cut(made: PairPieces, bound: int, checkpoint: Checkpoint) -> PairPieces:
    """A text that is too long without what there is no room for."""
    kept = _kept([SPECIAL if part is None else part for part in made.sentence], bound, checkpoint)
    return PairPieces(
        len(kept),
        {name: [values[i] for i in kept] for name, values in made.inputs.items()},
        [made.pieces[i] for i in kept],
        [made.sentence[i] for i in kept],
        [made.offsets[i] for i in kept],
        made.separator,
    )


def _kept(sentence: list[int], bound: int, checkpoint: Checkpoint) -> list[int]:
    """The positions that stay where a text is cut: all special tokens, and as much of the sentences as there is room.

    The longer sentence is cut first, down to the length of the other, then both, as the library `tokenizers` does.
    """
    lengths = [sentence.count(part) for part in (0, 1)]
    room = bound - sentence.count(SPECIAL)
    if room < (2 if all(lengths) else 1):
        raise TextError(
            f"{checkpoint.name} adds {sentence.count(SPECIAL)} special tokens, and the limit is {bound}, so there is "
            "no room for words; allow more tokens."
        )
    shorter, longer = sorted(lengths)
    longer = shorter if shorter > room else max(shorter, room - shorter)
    if shorter + longer > room:
        shorter, longer = room // 2, room - room // 2
    stay = (longer, shorter) if lengths[0] > lengths[1] else (shorter, longer)
    from_left = checkpoint.tokenizer.facts.truncation_side == "left"
    kept: list[int] = [index for index, part in enumerate(sentence) if part == SPECIAL]
    for part, number in enumerate(stay):
        places = [index for index, other in enumerate(sentence) if other == part]
        kept += places[len(places) - number :] if from_left else places[:number]
    return sorted(kept)


def _checked_texts(text_a: str, text_b: str | None, decoder: str) -> tuple[str, str | None]:
    """The texts; `decoder` is the name of an encoder-decoder, whose decoder has nothing to read without a source."""
    for name, text in (("first", text_a), ("second", text_b or "")):
        if not isinstance(text, str):
            raise TextError(f"The {name} sentence is a {type(text).__name__}; give a text.")
        if not text.isprintable() and any("\ud800" <= character <= "\udfff" for character in text):
            raise TextError(f"The {name} sentence holds half of a character (a lone surrogate); remove it.")
    if not text_a.strip():
        if decoder:
            raise TextError(
                f"The source text is empty, and {decoder} writes nothing without one; write a source first."
            )
        raise TextError("The first sentence is empty; write a sentence in it.")
    return text_a, text_b if text_b and text_b.strip() else None


def _check_vocabulary(checkpoint: Checkpoint, ids: NDArray[np.int64]) -> None:
    vocabulary = checkpoint.n_entries
    if ids.max() >= vocabulary:
        raise UnsupportedArchitectureError(
            f"The tokenizer of {checkpoint.name} does not fit its weights: token {ids.max()} of {vocabulary}."
        )


def _place(made: PairPieces, texts: tuple[str, ...], n_source: int | None = None) -> Tokens:
    """Find the characters and the word of every piece."""
    texts, pieces = texts * 2, made.pieces  # the second time as a decoder reads them again
    sentence = [SPECIAL if part is None else part for part in made.sentence]
    spans = [
        (0, 0) if part == SPECIAL else piece_span(texts[part], piece, span)
        for piece, part, span in zip(pieces, sentence, made.offsets, strict=True)
    ]
    words = [
        join_words(word_spans(text), [span for part, span in zip(sentence, spans, strict=True) if part == index])
        for index, text in enumerate(texts)
    ]
    text: list[str] = []
    number: dict[tuple[int, int], int] = {}  # of each word, in order of first appearance
    started: set[int] = set()
    word: list[int] = []
    for position, (piece, part, (start, end)) in enumerate(zip(pieces, sentence, spans, strict=True)):
        inside = part != SPECIAL and words[part]  # a special token is a word of its own
        place = (part, word_of_piece(words[part], (start, end)) if inside else position)
        word.append(number.setdefault(place, len(number)))
        if part != SPECIAL and start < end:
            text.append(CONTINUES * (word[-1] in started) + texts[part][start:end])
            started.add(word[-1])
        else:
            text.append(entry_text(piece))
    return Tokens(
        text=tuple(text),
        piece=tuple(pieces),
        sentence=np.asarray(sentence, np.int8),
        word=np.asarray(word, np.int32),
        span=np.asarray(spans, np.int32).reshape(-1, 2),
        n_source=n_source,
    )
