"""What a model said of the texts it was trained on, epoch by epoch, and the data map that is made of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnflow.lazy import lazy

Guid = int | str
"""The name of a text; a number where it is that of a row."""


def listed(guids: Sequence[object], most: int = 3) -> str:
    """The first of some names, and how many more there are, for a sentence.

    Example:
        >>> listed([4, 8, 15, 16, 23])
        '4, 8, 15 and 2 more'
    """
    shown = [str(guid)[:60] for guid in guids[:most]]
    return ", ".join(shown) + (f" and {len(guids) - most:,} more" if len(guids) > most else "")


def texts_in_words(count: int) -> str:
    """A number of texts in words.

    Example:
        >>> texts_in_words(1), texts_in_words(2000)
        ('1 text', '2,000 texts')
    """
    return f"{count:,} text{'s' * (count != 1)}"


@dataclass(frozen=True, eq=False)
class Dynamics:
    """Recorded training dynamics: `N` texts, `E` epochs, `C` classes."""

    guid: tuple[Guid, ...]
    """`[N]`, in the order in which they were first seen in a file."""
    epochs: tuple[int, ...]
    """`[E]`: their numbers, rising, from 0; one is missing here if its file is."""
    logits: NDArray[np.float64]
    """`[N, E, C]`; NaN where nothing was recorded."""
    gold: NDArray[np.int64]
    """`[N]`"""
    notes: tuple[str, ...] = ()
    """What is missing or could not be used, a sentence each."""

    @property
    def recorded(self) -> NDArray[np.bool_]:
        """`[N, E]`: where there is something."""
        return np.asarray(np.isfinite(self.logits).all(-1), np.bool_)


@dataclass(frozen=True, eq=False)
class DataMap:
    """How each text was learnt: `N` texts, `E` epochs.

    *Ambiguous* are texts of high variability, *hard to learn* those of low confidence, *easy to learn* those of high.
    """

    guid: tuple[Guid, ...]
    """`[N]`"""
    epochs: tuple[int, ...]
    """`[E]`: the epochs that the map is of."""
    gold: NDArray[np.int64]
    """`[N]`: the class of the label."""
    confidence: NDArray[np.float64]
    """`[N]`: the mean probability of the gold class over the epochs."""
    variability: NDArray[np.float64]
    """`[N]`: the standard deviation of that probability over the epochs (ddof 0)."""
    correctness: NDArray[np.int64]
    """`[N]`: in how many of the epochs the likeliest class was the gold one."""
    forgetfulness: NDArray[np.int64]
    """`[N]`: how often a text was wrong after it had been right; 1000 if it never was right."""
    threshold_closeness: NDArray[np.float64]
    """`[N]`: `confidence * (1 - confidence)`."""
    margin: NDArray[np.float64]
    """`[N]`: the mean of the gold logit less the largest other one over the epochs (Pleiss et al. 2020)."""
    counted: NDArray[np.int64]
    """`[N]`: of how many epochs these numbers are, fewer than `E` where a record is missing, or by `burn_out`."""
    gold_probability: NDArray[np.float64]
    """`[N, E]`: the probability of the gold class, NaN where nothing was recorded; `burn_out` cuts nothing here."""
    right: NDArray[np.bool_]
    """`[N, E]`: whether the likeliest class was the gold one; False where nothing was recorded."""
    notes: tuple[str, ...] = ()
    """What is missing or could not be used, a sentence each."""

    def __len__(self) -> int:
        return len(self.guid)

    @property
    def share_right(self) -> NDArray[np.float64]:
        """`[N]`: correctness as a share of the epochs."""
        return self.correctness / self.counted

    def accuracy(self, rows: Sequence[int] | NDArray[np.integer] | None = None) -> NDArray[np.float64]:
        """`[E]`: the share of right texts in each epoch, of all or of some; NaN where none was recorded."""
        chosen = self._chosen(rows)
        recorded = ~np.isnan(self.gold_probability[chosen])
        return _mean(self.right[chosen], recorded)

    def loss(self, rows: Sequence[int] | NDArray[np.integer] | None = None) -> NDArray[np.float64]:
        """`[E]`: the mean of `-log p` of the gold class in each epoch, in nats; NaN where none was recorded."""
        chosen = self.gold_probability[self._chosen(rows)]
        recorded = ~np.isnan(chosen)
        return _mean(-np.log(np.where(recorded, np.maximum(chosen, np.finfo(np.float64).tiny), 1)), recorded)

    def rows_of(self, guids: Iterable[object]) -> NDArray[np.int64]:
        """The rows of texts by their names, -1 where the map has none; `7` and `"7"` are one name."""
        return np.array([self._rows.get(str(guid), -1) for guid in guids], np.int64)

    @lazy
    def _rows(self) -> dict[str, int]:
        return {str(guid): row for row, guid in enumerate(self.guid)}

    def _chosen(self, rows: Sequence[int] | NDArray[np.integer] | None) -> NDArray[np.int64]:
        return np.arange(len(self)) if rows is None else np.asarray(rows, np.int64)


def _mean(values: NDArray[np.generic], there: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Means of columns over where there is a value."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(there, values, 0), np.float64).sum(0) / there.sum(0)
