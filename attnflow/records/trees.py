"""A sentence with its dependency tree, and which of its words each token of a model belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnflow.records.trace import Tokens

ROOT = -1
"""The governor of a word that no other word governs."""
NO_WORD = -1
"""The word of a token that belongs to none, as special tokens do."""


@dataclass(frozen=True)
class Sentence:
    """A sentence of a treebank; `W` words, counted from 0."""

    text: str
    words: tuple[str, ...]
    """`[W]`: syntactic words. A contraction such as *du* is written as one and may be two of them."""
    governor: tuple[int, ...]
    """`[W]`: the word that governs each, or `ROOT`."""
    relation: tuple[str, ...]
    """`[W]`: to its governor, such as `nsubj` or `nmod:poss`."""
    span: tuple[tuple[int, int], ...]
    """`[W]`: first character of each in `text`, and the one after its last. Words that are written as one, in letters
    that are not theirs, share its span."""
    guid: str = ""
    """Its name in the treebank."""

    def __len__(self) -> int:
        return len(self.words)

    def groups(self, tokens: Tokens) -> NDArray[np.int32]:
        """The word that each token of a model belongs to: that of which it has most characters, the first of equals.

        Args:
            tokens: Those of the text, which is the first of a pair if there are two.

        Returns:
            `[T]`: numbers of words, and `NO_WORD` for a token that has no character of any. A word may have no token:
            because the text was cut before it, or its characters are in a token that has more of another word.
        """
        return word_groups(self.span, tokens)


def word_groups(span: Sequence[tuple[int, int]], tokens: Tokens, sentence: int = 0) -> NDArray[np.int32]:
    """The word of one text that each token belongs to: that of which it has most characters, the first of equals.

    Args:
        span: `[W]`: first character of each word, and the one after its last, in their order.
        tokens: Of a text or a pair.
        sentence: Whether the words are of the first (0) or the second (1) of a pair.

    Returns:
        `[T]`: numbers of words, and `NO_WORD`.
    """
    start, end = np.array(span, np.int64).reshape(-1, 2).T  # both in order, as words are
    found = np.full(len(tokens), NO_WORD, np.int32)
    for token in np.flatnonzero(tokens.sentence == sentence):
        low, high = map(int, tokens.span[token])
        first, last = int(np.searchsorted(end, low, "right")), int(np.searchsorted(start, high, "left"))
        shared = np.minimum(end[first:last], high) - np.maximum(start[first:last], low)
        if shared.size and shared.max() > 0:
            found[token] = first + shared.argmax()
    return found


def cycle_in(governors: Sequence[int]) -> int | None:
    """A word of which following governors leads in a circle instead of to the root; None if there is none."""
    reaches = [False] * len(governors)
    for word in range(len(governors)):
        path: set[int] = set()
        at = word
        while at != ROOT and not reaches[at]:
            if at in path:
                return at
            path.add(at)
            at = governors[at]
        for passed in path:
            reaches[passed] = True
    return None
