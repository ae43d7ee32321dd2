"""Attention between the words of many sentences, in half precision in a file of its own, so that memory stays flat."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import SelectionError, brief

MARKS = 2
"""Positions before the words: the special tokens that stand first and last in a text."""


class AttentionFile:
    """Attention of `N` sentences, of which each is written once and read again and again; closing it removes it.

    Half precision is kept, whose relative error of 0.05 % is far below what tells one governor from another; running
    the model again in each epoch and for each probe would take some ten times as long as reading it.

    Args:
        sizes: `[N]`: words of each sentence.
        n_maps: `K`, the heads of all layers.
    """

    def __init__(self, sizes: Sequence[int], n_maps: int) -> None:
        self.sizes, self.n_maps = tuple(sizes), n_maps
        self._begins = np.cumsum([0, *((size + MARKS) ** 2 * n_maps for size in sizes)], dtype=np.int64)
        self._file = tempfile.TemporaryFile(prefix="attnflow-probe-")  # noqa: SIM115  # closed with this
        self._mapped: np.memmap[tuple[int], np.dtype[np.float16]] | None = None

    @staticmethod
    def bytes_needed(sizes: Sequence[int], n_maps: int) -> int:
        """What so many sentences take on disk."""
        return sum((size + MARKS) ** 2 for size in sizes) * n_maps * np.dtype(np.float16).itemsize

    def write(self, row: int, attention: NDArray[np.float32]) -> None:
        """Keep a sentence.

        Args:
            row: Which.
            attention: `[K, S, S]` as `[query, key]`, of the two marks and the words.

        Raises:
            SelectionError: If there is no room for it on the disk.
        """
        try:
            self._file.seek(int(self._begins[row]) * np.dtype(np.float16).itemsize)
            self._file.write(np.ascontiguousarray(attention.transpose(1, 2, 0), np.float16).data)
        except OSError as error:
            raise SelectionError(
                f"The attention of {len(self.sizes):,} sentences takes {self._begins[-1] * 2 / 1e6:,.0f} MB of the "
                f"folder for temporary files, and cannot be written there ({brief(error)}); make room, or give fewer "
                "sentences."
            ) from error

    def read(self, row: int) -> NDArray[np.float16]:
        """`[S, S, K]` as `[query, key, map]`, as it was written; zeros of a sentence that was not."""
        if self._mapped is None:
            self._file.truncate(int(self._begins[-1]) * np.dtype(np.float16).itemsize)
            self._file.flush()
            self._mapped = np.memmap(self._file, np.float16, mode="r")
        size = self.sizes[row] + MARKS
        return self._mapped[self._begins[row] : self._begins[row + 1]].reshape(size, size, self.n_maps)

    def close(self) -> None:
        """Remove it."""
        self._mapped = None
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
