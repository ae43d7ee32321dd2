"""Parses one sentence with a trained probe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.corpus.probe_reading import between_words, marked_groups, pieces_of
from attnflow.corpus.word_vectors import WordVectors
from attnflow.errors import SelectionError
from attnflow.methods.probing.classifiers import Classifier
from attnflow.methods.probing.examples import alone
from attnflow.methods.probing.training import probabilities
from attnflow.records.parses import Parse
from attnflow.records.trace import Encoding, Tokens, Trace
from attnflow.records.trees import NO_WORD, ROOT, Sentence
from attnflow.runtime.capture import capture
from attnflow.runtime.encode import encode
from attnflow.stats.alignment import merge_words
from attnflow.stats.best_tree import best_tree


def parsed(
    checkpoint: Checkpoint,
    classifier: Classifier,
    vectors: WordVectors,
    scale: float,
    what: Sentence | Encoding | Trace | str,
) -> Parse:
    """The most probable tree with one root; arguments and errors as those of `AttentionProbe.parse`."""
    read = _read(checkpoint, what)
    attention = read.trace.attention
    if attention.shape[:2] != (checkpoint.n_layers, checkpoint.n_heads):
        raise SelectionError(
            f"The trace has {attention.shape[0]} layers of {attention.shape[1]} heads, and the probe is of "
            f"{checkpoint.name}, which has {checkpoint.n_layers} of {checkpoint.n_heads}; capture it with that."
        )
    groups, place = marked_groups(read.word, read.trace.tokens)
    if not len(place):
        raise SelectionError("The text has no word that could be parsed; write a sentence.")
    forms = tuple(read.forms[word] for word in place)
    pieces = pieces_of(groups, read.ids, len(place))
    keys = [vectors.key(form, own) for form, own in zip(forms, pieces, strict=True)]
    different = list(dict.fromkeys(keys))
    table = vectors.table(checkpoint, different)[[different.index(key) for key in keys]] / np.float32(scale)
    batch = alone(torch.from_numpy(between_words(attention, groups, len(place))), torch.from_numpy(table), groups)
    found = probabilities(classifier, batch)[0]
    found.flags.writeable = False
    gold = None if read.gold is None else _among(read.gold, place)
    return Parse(forms, best_tree(found), found, gold, tuple(map(int, place)))


def _among(gold: Sequence[int], place: NDArray[np.int64]) -> tuple[int, ...]:
    number = {int(word): index for index, word in enumerate(place)}
    return tuple(number.get(gold[word], ROOT) for word in place)


@dataclass(frozen=True, eq=False)
class _Read:
    """A sentence as a model reads it."""

    trace: Trace
    word: NDArray[np.int32]
    """`[T]`: the word of each token, -1 for none."""
    forms: tuple[str, ...]
    """Of all words, by their number."""
    ids: Sequence[int]
    """`[T]`: entries of the vocabulary."""
    gold: tuple[int, ...] | None = None


def _read(checkpoint: Checkpoint, what: Sentence | Encoding | Trace | str) -> _Read:
    if isinstance(what, Trace):
        return _of_tokens(what, [_entry(checkpoint, piece) for piece in what.tokens.piece])
    text = what.text if isinstance(what, Sentence) else what
    encoding = text if isinstance(text, Encoding) else encode(checkpoint, text, truncate=isinstance(what, Sentence))
    trace, ids = capture(checkpoint, encoding), encoding.inputs["input_ids"].tolist()
    if isinstance(what, Sentence):
        return _Read(trace, what.groups(encoding.tokens), what.words, ids, what.governor)
    return _of_tokens(trace, ids)


def _of_tokens(trace: Trace, ids: Sequence[int]) -> _Read:
    """With the words that its tokens tell."""
    tokens = trace.tokens
    word = np.where(tokens.sentence == 0, tokens.word, NO_WORD).astype(np.int32)
    return _Read(trace, word, _forms(trace, tokens), ids)


def _forms(trace: Trace, tokens: Tokens) -> tuple[str, ...]:
    return tokens.text if tokens.unit == "word" else merge_words(trace).tokens.text


def _entry(checkpoint: Checkpoint, piece: str) -> int:
    """The number of a piece; the first entry for what is none."""
    return checkpoint.tokenizer.id_of(piece) or 0
