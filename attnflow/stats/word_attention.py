"""Attention between words instead of pieces."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnflow.errors import SelectionError

Pooling = Literal["mean", "first"]
"""What a word that is several tokens attends to: the mean of them, or what its first token does."""


def among_present(values: NDArray[np.floating], there: NDArray[np.bool_]) -> NDArray[np.floating]:
    """Attention `[L, H, W, W]` between the words that are there; returned as it is if it is between these already."""
    present = np.flatnonzero(there)
    if values.shape[-1] == len(there) > len(present):
        return values[..., present, :][..., present]
    return values


def word_attention(
    attention: ArrayLike, groups: ArrayLike, pooling: Pooling = "mean", *, n_words: int | None = None
) -> NDArray[np.float32]:
    """Merge the tokens of each word.

    What a word is paid is the sum over its tokens, what it pays the mean over them, or what its first token pays. What
    it pays to tokens of no word, such as special tokens, is dropped and not redistributed.

    Args:
        attention: `[L, H, T, T]` as `[query, key]`, of one text.
        groups: `[T]`: the word of each token, -1 for a token that belongs to none.
        pooling: `mean` or `first`.
        n_words: `W`; if None, as many as `groups` names. Words without a token pay and are paid 0.

    Returns:
        `[L, H, W, W]`; rows sum to at most 1.

    Raises:
        SelectionError: If the sizes do not agree, or there is no such pooling.

    Reference:
        Clark et al., *What Does BERT Look At?*, section 4.1: the mean. The code that they released takes the first.
    """
    values = np.asarray(attention, np.float32)
    word = np.asarray(groups)
    if pooling not in get_args(Pooling):
        raise SelectionError(f"pooling is {str(pooling)[:40]!r}; give 'mean' or 'first'.")
    if values.ndim != 4 or word.shape != values.shape[-1:] or values.shape[-1] != values.shape[-2]:
        raise SelectionError(
            f"Attention {values.shape} and groups {word.shape} do not agree; give [L, H, T, T] and the word of each of "
            "the T tokens."
        )
    count = int(word.max(initial=-1)) + 1 if n_words is None else n_words
    if word.dtype.kind not in "iu" or word.min(initial=0) < -1 or word.max(initial=-1) >= count:
        raise SelectionError(f"groups holds numbers from -1 to {count - 1}, one for each token; see Sentence.groups.")
    member = np.zeros((count, len(word)), np.float32)
    inside = np.flatnonzero(word >= 0)
    member[word[inside], inside] = 1
    reads = member.copy()
    if pooling == "first":
        reads[:] = 0
        named, first = np.unique(word[inside], return_index=True)
        reads[named, inside[first]] = 1
    reads /= np.maximum(reads.sum(axis=1, keepdims=True), 1)
    return reads @ (values @ member.T)
