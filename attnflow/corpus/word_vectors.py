"""Vectors of words that know nothing of their context: a model's own input embeddings, or a file of GloVe."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import TextsError

MOST_NUMBERS, _LONGEST_LINE = 5_000, 200_000
"""Of one vector, and of one line of a file in bytes: above those of any vectors that are published."""
_AT_ONCE = 4_096


class WordVectors(Protocol):
    """Where vectors of words come from."""

    def key(self, form: str, pieces: tuple[int, ...]) -> Hashable:
        """What tells one vector from another.

        Args:
            form: The word as it is written.
            pieces: Its entries of the model's vocabulary.
        """
        ...

    def table(self, checkpoint: Checkpoint, keys: Sequence[Hashable]) -> NDArray[np.float32]:
        """`[V, D]`: the vector of each key."""
        ...


@dataclass(frozen=True)
class OwnVectors:
    """The model's own input embeddings, the mean of those of a word's pieces."""

    def key(self, form: str, pieces: tuple[int, ...]) -> Hashable:
        """See `WordVectors`."""
        return pieces

    def table(self, checkpoint: Checkpoint, keys: Sequence[Hashable]) -> NDArray[np.float32]:
        """See `WordVectors`."""
        words = [cast("tuple[int, ...]", key) for key in keys]
        embed = cast("torch.nn.Module", checkpoint.model.get_input_embeddings())
        found: list[NDArray[np.floating]] = []
        with torch.inference_mode():
            for begin in range(0, len(words), _AT_ONCE):
                some = words[begin : begin + _AT_ONCE]
                ids = torch.tensor([piece for word in some for piece in word], device=checkpoint.device)
                rows = embed(ids).float().cpu().numpy()
                begins = np.cumsum([0, *map(len, some[:-1])])
                found.append(
                    np.add.reduceat(rows, begins) / np.array([len(word) for word in some], np.float32)[:, None]
                )
        return np.concatenate(found).astype(np.float32, copy=False)


@dataclass(frozen=True)
class FileVectors:
    """A text file with a word and its numbers in each line, as GloVe is published.

    A word that is not in it is looked for in small letters; if that is not there either, its vector is zero.
    """

    path: Path

    def key(self, form: str, pieces: tuple[int, ...]) -> Hashable:
        """See `WordVectors`."""
        return form

    def table(self, checkpoint: Checkpoint, keys: Sequence[Hashable]) -> NDArray[np.float32]:
        """See `WordVectors`.

        Raises:
            TextsError: If the file cannot be read, or has a line that is no word and its numbers.
        """
        words = [str(key) for key in keys]
        found, width = read_vectors(self.path, {*words, *(word.lower() for word in words)})
        nothing = np.zeros(width, np.float32)
        return np.stack([found.get(word, found.get(word.lower(), nothing)) for word in words])


def read_vectors(path: str | os.PathLike[str], words: set[str]) -> tuple[dict[str, NDArray[np.float32]], int]:
    """Read the vectors of some words from a text file; no other is kept, and of no other are the numbers read.

    Args:
        path: A line for each word: the word and its numbers, with spaces between them. A first line of two whole
            numbers, which word2vec writes, is passed over.
        words: Those that are wanted.

    Returns:
        Those that are there, and how many numbers a vector has.

    Raises:
        TextsError: If the file cannot be read, or with the number of the first line that is wrong, and what it
            should be.
    """
    name = Path(path).name
    found: dict[str, NDArray[np.float32]] = {}
    width = 0
    try:
        with Path(path).open("rb") as file:
            for number, line in _lines(file, name):
                fields = line.rstrip().split(b" ")
                if number == 1 and len(fields) == 2 and all(field.isdigit() for field in fields):
                    continue
                if not width:
                    width = len(fields) - 1
                    if not 0 < width <= MOST_NUMBERS:
                        raise TextsError(
                            f"{name}, line {number:,}: it has {width:,} numbers after its word; give a word and 1 to "
                            f"{MOST_NUMBERS:,} numbers in each line, with single spaces between them."
                        )
                # A few words of GloVe hold spaces themselves.
                if len(fields) < width + 1 or (len(fields) > width + 1 and all(map(_is_number, fields[1:-width]))):
                    raise TextsError(
                        f"{name}, line {number:,}: it has {len(fields) - 1:,} numbers after its word, and those before "
                        f"have {width:,}; give as many in each line."
                    )
                word = b" ".join(fields[:-width]).decode("utf-8", "replace")
                if word in words and word not in found:
                    found[word] = _vector(fields[-width:], name, number)
    except OSError as error:
        raise TextsError(f"{path} cannot be read ({error.strerror}); give a text file of vectors.") from error
    if not found:
        raise TextsError(f"{name} has none of the {len(words):,} words; give vectors of the language of the treebank.")
    return found, width


def _lines(file: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    """Numbered lines, of which none is longer than one may be."""
    number = 0
    while line := file.readline(_LONGEST_LINE + 1):
        number += 1
        if len(line) > _LONGEST_LINE:
            raise TextsError(
                f"{name}, line {number:,}: it is longer than {_LONGEST_LINE:,} bytes; give a text file with a word and "
                "its numbers in each line."
            )
        if line.strip():
            yield number, line


def _vector(fields: Sequence[bytes], name: str, number: int) -> NDArray[np.float32]:
    try:
        values = np.array([float(field) for field in fields], np.float32)
    except ValueError:
        wrong = next(field for field in fields if not _is_number(field)).decode("utf-8", "replace")
        raise TextsError(
            f"{name}, line {number:,}: {wrong[:20]!r} is no number; give a word and {len(fields):,} numbers."
        ) from None
    if not np.isfinite(values).all():
        raise TextsError(f"{name}, line {number:,}: it has a number that is not finite; give finite ones.")
    return values


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
