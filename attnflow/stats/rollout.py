"""Attention rollout: attention of all layers multiplied into one table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnflow.records.root import Root, tokens_of
from attnflow.records.trace import Trace, present_heads


def attention_rollout(trace: Trace) -> NDArray[np.float64]:
    """Multiply the attention of all layers, each averaged over its heads and mixed half and half with the identity.

    Args:
        trace: A recorded run.

    Returns:
        `[T, T]` as `[token at the output, token at the input]`; rows sum to 1.

    Reference:
        Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers", section 4. The half of the identity
        stands for the residual connection. Of an encoder-decoder, the mean is over the heads that there are: in the
        decoder half of what a token takes is of the target, half of the source.
    """
    heads = present_heads(trace)[:, :, None, None]
    mean = trace.attention.mean(axis=1, dtype=np.float64, where=heads)
    mixed = (mean + np.eye(len(trace.tokens))) / 2  # [L, T, T]
    mixed /= mixed.sum(axis=-1, keepdims=True)
    rolled = mixed[0]
    for layer in mixed[1:]:
        rolled = layer @ rolled
    return rolled


def rollout_of_root(trace: Trace, root: Root) -> NDArray[np.float64]:
    """`[T]`: the row of the rollout that belongs to a root; of several tokens the mean, as of their vectors."""
    return attention_rollout(trace)[list(tokens_of(root))].mean(axis=0)
