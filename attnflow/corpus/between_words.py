"""Attention between the words of a treebank's sentence, of what a model pays between its tokens."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnflow.records.trace import Tokens
from attnflow.records.trees import NO_WORD, Sentence
from attnflow.stats.word_attention import Pooling, word_attention


def between_words(
    attention: NDArray[np.floating], tokens: Tokens, tree: Sentence, pooling: Pooling
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Attention between those words that have a token: no more than tokens, whatever the tree.

    Args:
        attention: `[L, H, T, T]` as `[query, key]`; what lies beyond the tokens is not read.
        tokens: Of the sentence, or of a pair that begins with it.
        tree: With `W` words.
        pooling: What a word of several tokens attends to.

    Returns:
        `[L, H, W', W']`, and `[W]`: whether a word has a token, as `W'` have.
    """
    size, groups = len(tokens), tree.groups(tokens)
    here = np.isin(np.arange(len(tree)), groups)
    among = np.where(groups == NO_WORD, NO_WORD, np.cumsum(here)[groups] - 1)
    return word_attention(attention[:, :, :size, :size], among, pooling), here
