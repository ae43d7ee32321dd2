"""Runs a checkpoint on a sentence pair: text to encoding, encoding to trace."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow import attention, limits
from attnflow.checkpoint import Checkpoint
from attnflow.errors import TextError, UnsupportedArchitectureError
from attnflow.records import SPECIAL, Encoding, Head, Tokens, Trace, check_heads
from attnflow.tokens import CONTINUES, display_entry, join_words, piece_span, word_of_piece, word_spans


def encode(checkpoint: Checkpoint, text_a: str, text_b: str | None = None) -> Encoding:
    """Tokenize a sentence pair.

    Args:
        checkpoint: Whose tokenizer reads it.
        text_a: The first sentence.
        text_b: The second sentence; None or empty for a single one.

    Raises:
        TextError: If the first sentence is empty, or the pair is longer than `checkpoint.max_tokens`.

    Example:
        >>> from attnflow import load_checkpoint
        >>> encode(load_checkpoint("demo/finetuned"), "Anna met Paul.").tokens.text
        ('[CLS]', 'Anna', 'met', 'Paul', '.', '[SEP]')
    """
    text_a, text_b = _checked_texts(text_a, text_b)
    encoded = checkpoint.tokenizer(
        text_a, text_b, return_offsets_mapping=True, return_attention_mask=True, truncation=False, verbose=False
    )
    size = len(encoded["input_ids"])
    if size > checkpoint.max_tokens:
        raise TextError(
            f"This text is {size} tokens long for {checkpoint.name}; the limit is {checkpoint.max_tokens}. "
            f"Shorten it by about {size - checkpoint.max_tokens} tokens."
        )
    sentence = [SPECIAL if part is None else part for part in encoded.sequence_ids()]
    if 0 not in sentence:
        raise TextError(f"The tokenizer of {checkpoint.name} finds nothing in the first sentence; write a word in it.")
    pieces = checkpoint.tokenizer.convert_ids_to_tokens(encoded["input_ids"])
    tokens = _place(pieces, sentence, encoded["offset_mapping"], (text_a, text_b or ""))
    names = ("input_ids", "attention_mask", "token_type_ids")
    inputs = {name: np.asarray(encoded[name], np.int64) for name in names if name in encoded}
    _check_vocabulary(checkpoint, inputs["input_ids"])
    return Encoding(text_a, text_b, tokens, inputs)


def _checked_texts(text_a: str, text_b: str | None) -> tuple[str, str | None]:
    for name, text in (("first", text_a), ("second", text_b or "")):
        if not isinstance(text, str):
            raise TextError(f"The {name} sentence is a {type(text).__name__}; give a text.")
        if len(text) > limits.MAX_CHARACTERS:
            raise TextError(
                f"The {name} sentence has {len(text):,} characters; the limit is {limits.MAX_CHARACTERS:,}. Shorten it."
            )
        if not text.isprintable() and any("\ud800" <= character <= "\udfff" for character in text):
            raise TextError(f"The {name} sentence holds half of a character (a lone surrogate); remove it.")
    if not text_a.strip():
        raise TextError("The first sentence is empty; write a sentence in it.")
    return text_a, text_b if text_b and text_b.strip() else None


def _check_vocabulary(checkpoint: Checkpoint, ids: NDArray[np.int64]) -> None:
    vocabulary = checkpoint.model.get_input_embeddings().num_embeddings
    if ids.max() >= vocabulary:
        raise UnsupportedArchitectureError(
            f"The tokenizer of {checkpoint.name} does not fit its weights: token {ids.max()} of {vocabulary}."
        )


def _place(pieces: list[str], sentence: list[int], offsets: list[tuple[int, int]], texts: tuple[str, str]) -> Tokens:
    """Find the characters and the word of every piece."""
    spans = [
        (0, 0) if part == SPECIAL else piece_span(texts[part], piece, span)
        for piece, part, span in zip(pieces, sentence, offsets, strict=True)
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
            text.append(display_entry(piece))
    return Tokens(
        text=tuple(text),
        piece=tuple(pieces),
        sentence=np.asarray(sentence, np.int8),
        word=np.asarray(word, np.int32),
        span=np.asarray(spans, np.int32).reshape(-1, 2),
    )


def capture(checkpoint: Checkpoint, encoding: Encoding, *, pruned: Iterable[Head] = ()) -> Trace:
    """Run a checkpoint on an encoding and record what happens inside.

    Two threads may capture with one checkpoint at once, each with its own pruned heads; nothing is left changed.

    Args:
        checkpoint: The model to run.
        encoding: A pair encoded for this checkpoint.
        pruned: Heads `(layer, head)` whose output is multiplied by 0 before the output projection, which equals
            zeroing their columns of that projection.

    Returns:
        A trace whose arrays equal those of transformers' own eager attention.

    Raises:
        SelectionError: If a pruned head does not exist.
        UnsupportedArchitectureError: If the model does not run all its layers through the attention interface.
    """
    heads = check_heads(pruned, checkpoint.n_layers, checkpoint.n_heads)
    gates = None
    if heads:
        gates = torch.ones(checkpoint.n_layers, checkpoint.n_heads)
        gates[tuple(zip(*heads, strict=True))] = 0
    inputs = {name: torch.from_numpy(values)[None] for name, values in encoding.inputs.items()}
    with torch.inference_mode(), attention.record(gates) as recording:
        output = checkpoint.model(**inputs, output_hidden_states=True)
    _check_recording(checkpoint, recording)
    trained = checkpoint.head.trained and checkpoint.head.kind == "sequence-classification"
    return Trace(
        tokens=encoding.tokens,
        attention=_array(torch.cat(recording.attention)),
        hidden=_array(torch.cat(output.hidden_states)),
        head_output=_array(torch.cat(recording.head_output)),
        root=0 if checkpoint.root == "first" else len(encoding.tokens) - 1,
        scores=_array(output.logits[0]) if trained else None,
        probabilities=_probabilities(output.logits[0], checkpoint.head.problem) if trained else None,
        labels=checkpoint.head.labels if trained else (),
        pruned=heads,
    )


def _check_recording(checkpoint: Checkpoint, recording: attention.Recording) -> None:
    shapes = {tuple(layer.shape[1:]) for layer in recording.attention}
    heads = {shape[0] for shape in shapes}
    if len(recording.attention) != checkpoint.n_layers or heads != {checkpoint.n_heads} or len(shapes) != 1:
        raise UnsupportedArchitectureError(
            f"{checkpoint.name} cannot be analysed: of its {checkpoint.n_layers} layers with {checkpoint.n_heads} "
            f"heads {len(recording.attention)} used the attention interface. Choose another checkpoint."
        )


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    array = tensor.to(torch.float32).cpu().numpy()
    array.flags.writeable = False  # traces are shared between requests
    return array


def _probabilities(scores: torch.Tensor, problem: str) -> NDArray[np.float64] | None:
    if problem == "regression":
        return None
    scores = scores.double()
    return (scores.softmax(-1) if problem == "single_label" else scores.sigmoid()).cpu().numpy()
