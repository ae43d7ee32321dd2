"""What explanations are ranked by: words, or the pieces of the tokenizer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnflow.records.trace import Tokens
from attnflow.records.words import Unit, check_unit


def units_of(tokens: Tokens, words: NDArray[np.bool_], unit: Unit) -> NDArray[np.intp]:
    """Number the units of a text.

    Args:
        tokens: Its pieces.
        words: `[T]`: the tokens that stand for text.
        unit: `word`, or `piece` for each token by itself.

    Returns:
        `[T]`: the unit `0 … U-1` of each token, -1 for those that stand for no text.

    Raises:
        SelectionError: If there is no such unit.
    """
    numbers = np.full(len(words), -1)
    given = tokens.word[words] if check_unit(unit) == "word" else np.arange(words.sum())
    numbers[words] = np.unique(given, return_inverse=True)[1]
    return numbers


def by_unit(values: NDArray[np.float64], units: NDArray[np.intp]) -> NDArray[np.float64]:
    """`[U]`: values `[T]`, those of the pieces of a word added up.

    Example:
        >>> by_unit(np.array([9.0, 1.0, 2.0, 4.0]), np.array([-1, 0, 0, 1])).tolist()
        [3.0, 4.0]
    """
    return np.bincount(units[units >= 0], weights=values[units >= 0]).astype(np.float64, copy=False)
