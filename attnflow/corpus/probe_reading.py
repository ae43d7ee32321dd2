"""Reads a treebank with a model for probes: attention between the words of each sentence, kept in a file."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow import progress
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.corpus.encoded_text import encoded
from attnflow.corpus.word_vectors import WordVectors
from attnflow.errors import CheckpointError, NoRoomError, SelectionError, UnsupportedArchitectureError
from attnflow.methods.probing.attention_file import MARKS, AttentionFile
from attnflow.methods.probing.examples import GONE, Example, Examples, has_marks
from attnflow.records.texts import Text
from attnflow.records.trace import SPECIAL, Encoding, Tokens
from attnflow.records.trees import NO_WORD, ROOT, Sentence
from attnflow.runtime.batch import batches, capture_layers
from attnflow.runtime.memory import within_memory
from attnflow.stats.word_attention import word_attention

LEAST_WORDS = 2
"""Of a sentence: of one word it is the root whatever a model does."""


@dataclass(frozen=True, eq=False)
class Readable:
    """A sentence as a model's tokenizer cuts it."""

    sentence: Sentence
    encoding: Encoding
    words: NDArray[np.int64]
    """`[W]`: the words that have a token, by their number in the sentence."""
    groups: NDArray[np.int32]
    """`[T]`: which mark or word each token belongs to; see `marked_groups`."""

    def __len__(self) -> int:
        return len(self.words)

    def pieces(self) -> list[tuple[int, ...]]:
        """`[W]`: entries of the vocabulary of each word."""
        return pieces_of(self.groups, self.encoding.inputs["input_ids"], len(self))


def pieces_of(groups: NDArray[np.int32], ids: Sequence[int] | NDArray[np.int64], count: int) -> list[tuple[int, ...]]:
    """`[W]`: entries of the vocabulary of each word, by the groups of `marked_groups`."""
    found: list[list[int]] = [[] for _ in range(count)]
    for group, piece in zip(groups.tolist(), ids, strict=True):
        if group >= MARKS:
            found[group - MARKS].append(int(piece))
    return [tuple(one) for one in found]


def marked_groups(word: NDArray[np.int32], tokens: Tokens) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Number the marks and the words that have a token.

    Args:
        word: `[T]`: the word of each token, -1 for none.
        tokens: The tokens.

    Returns:
        `[T]`: 0 for a special token that stands first, 1 for one that stands last, 2 and more for words, -1 for others;
        and `[W]`: the number that each word had.
    """
    there = np.unique(word[word >= 0])
    groups = np.where(word >= 0, np.searchsorted(there, word) + MARKS, NO_WORD).astype(np.int32)
    for mark, position in ((0, 0), (1, len(tokens) - 1)):
        if tokens.sentence[position] == SPECIAL and groups[position] == NO_WORD:
            groups[position] = mark
    return groups, there.astype(np.int64)


def readable(
    checkpoint: Checkpoint, sentences: Iterable[Sentence], max_tokens: int | None
) -> tuple[list[Readable], dict[str, str]]:
    """Cut sentences into tokens; those with too few words are left out, and of those that cannot be cut it is told why.

    Raises:
        UnsupportedArchitectureError: If no text can be read with this model.
    """
    found: list[Readable] = []
    failed: dict[str, str] = {}
    for number, sentence in enumerate(sentences):
        progress.go_on()
        name = sentence.guid or str(number)
        encoding = encoded(checkpoint, Text(name, sentence.text), "cut", max_tokens)
        if isinstance(encoding, str):
            failed[name] = encoding
            continue
        groups, words = marked_groups(sentence.groups(encoding.tokens), encoding.tokens)
        if len(words) >= LEAST_WORDS:
            found.append(Readable(sentence, encoding, words, groups))
    return found, failed


def examples(
    checkpoint: Checkpoint, sentences: Sequence[Readable], vectors: WordVectors, file: AttentionFile
) -> Examples:
    """The sentences as probes take them; their attention is written by `read_attention`."""
    numbers: dict[Hashable, int] = {}
    made: list[Example] = []
    for row, one in enumerate(sentences):
        keys = [
            vectors.key(one.sentence.words[word], pieces) for word, pieces in zip(one.words, one.pieces(), strict=True)
        ]
        vector = np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)
        relation = [one.sentence.relation[word].partition(":")[0] for word in one.words]
        scored = np.array([name != "punct" for name in relation])
        made.append(Example(row, _governors(one), scored, vector, has_marks(one.groups)))
    return Examples(tuple(made), file, vectors.table(checkpoint, list(numbers)))


def _governors(one: Readable) -> NDArray[np.int64]:
    """`[W]`: the governor of each word among those that have a token."""
    place = {int(word): number for number, word in enumerate(one.words)} | {ROOT: ROOT}
    return np.array([place.get(one.sentence.governor[word], GONE) for word in one.words], np.int64)


def read_attention(
    checkpoint: Checkpoint,
    sentences: Sequence[Readable],
    file: AttentionFile,
    done: Callable[[int], object] = lambda sentences: None,
) -> None:
    """Run the model on all sentences, several at once, and write the attention between the words of each.

    Args:
        checkpoint: The model, or its counterpart with random weights.
        sentences: As its tokenizer cuts them.
        file: Takes them by their place in the list.
        done: Is told now and then how many have been read.

    Raises:
        CheckpointError: If the model cannot be run.
        NoRoomError: If a GPU has no memory left for a sentence.
        SelectionError: If there is no room on the disk.
    """
    finished = 0
    for rows in batches(checkpoint, [one.encoding for one in sentences]):
        _read(checkpoint, sentences, rows, file)
        finished += len(rows)
        done(finished)


def _read(checkpoint: Checkpoint, sentences: Sequence[Readable], rows: list[int], file: AttentionFile) -> None:
    progress.go_on()
    try:
        with within_memory(checkpoint.name):
            batch = capture_layers(checkpoint, [sentences[row].encoding for row in rows])
            with torch.inference_mode():
                attention = torch.stack(batch.attention, dim=1).float().cpu().numpy()  # [N, L, H, T, T]
    except UnsupportedArchitectureError:
        raise
    except (CheckpointError, NoRoomError):  # such as padding that overflows; what is wrong shows with each alone
        if len(rows) == 1:
            raise
        for row in rows:
            _read(checkpoint, sentences, [row], file)
        return
    for number, row in enumerate(rows):
        one, size = sentences[row], int(batch.lengths[number])
        file.write(row, between_words(attention[number, ..., :size, :size], one.groups, len(one)))


def between_words(attention: NDArray[np.float32], groups: NDArray[np.int32], count: int) -> NDArray[np.float32]:
    """`[K, S, S]` of `[L, H, T, T]`: between the marks and the words."""
    found = word_attention(attention, groups, n_words=count + MARKS)
    return found.reshape(-1, *found.shape[2:])


def check_relations(sentences: Sequence[Sentence]) -> None:
    """Refuse a treebank without relations, in which punctuation could not be told.

    Raises:
        SelectionError: If no word of it has one.
    """
    if not any(name not in ("", "_") for sentence in sentences for name in sentence.relation):
        raise SelectionError(
            "No word of this treebank has a relation to its governor (DEPREL), so that punctuation cannot be told and "
            "left out; give a treebank with relations."
        )
