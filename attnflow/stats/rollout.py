"""Rollout: what the layers' tokens owe to each other, multiplied into what the output owes to the input."""

from __future__ import annotations

from collections.abc import Sequence

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


def rolled_out(layers: Sequence[NDArray[np.floating]], root: Root) -> NDArray[np.float64]:
    """Multiply what tokens owe to each other in each layer, from the root down to the input.

    Args:
        layers: From the first on, `[T, T]` each as `[token that leaves the layer, token that enters it]`, the residual
            connection included: no identity is mixed in. Nothing is negative, and rows may have any sum.
        root: The token, or tokens, to start from.

    Returns:
        `[T]`, which sums to 1. Each row counts as shares of its sum; where it is 0, in a layer whose heads write
        nothing, a token owes all to itself.
    """
    rolled = np.zeros(len(layers[0]))
    rolled[list(tokens_of(root))] = 1 / len(tokens_of(root))
    for layer in reversed(layers):
        sums = layer.sum(axis=-1, keepdims=True, dtype=np.float64)
        rolled = rolled @ np.where(sums > 0, layer / np.where(sums > 0, sums, 1), np.eye(len(layer)))
    return rolled
