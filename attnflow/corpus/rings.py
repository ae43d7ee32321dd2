"""Who is attended to on the way to the decision, word by word, in all texts of a batch at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow.records.root import Root, tokens_of
from attnflow.stats.ring_thresholds import ring_size, ring_threshold


def attended_words(
    attention: Sequence[torch.Tensor],
    words: Sequence[NDArray[np.int32]],
    roots: Sequence[Root],
    allowed: NDArray[np.bool_],
    tau: Sequence[float] | None = None,
    passing: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Count who attends to each word in the attention graphs over words, layer by layer for all texts.

    The same as `merge_words`, `ring_tau`, `attention_graph` and `attended_by` of each text.

    Args:
        attention: `[L]` of `[N, H, T, T]` as `[query, key]`, 0 beyond a text.
        words: `[N]` of `[T]`: the word of each token of a text, numbered from 0.
        roots: `[N]`: the tokens that the task reads.
        allowed: `[L, H]`: the heads that may carry edges.
        tau: `[L]`: a threshold for each layer; each text's own if None.
        passing: `[N, L, W]`: words that take no part in a layer, and are in the next ring beside those attended to.

    Returns:
        `[N, L, W]`: how many pairs of a head and a word of ring `l + 1` attend to a word of ring `l`, `W` words of the
        text that has most. Above 0 where ring `l` holds the word, unless it only passed.
    """
    size, n_layers = attention[0].shape[-1], len(attention)
    n_words = max(int(word.max()) + 1 for word in words)
    member = np.zeros((len(words), n_words, size), np.float32)
    ring = np.zeros((len(words), n_words), bool)
    for text, (word, root) in enumerate(zip(words, roots, strict=True)):
        member[text, word, np.arange(len(word))] = 1
        ring[text, word[list(tokens_of(root))]] = True
    device = attention[0].device
    summed = torch.from_numpy(member).to(device)
    mean = summed / summed.sum(-1, keepdim=True).clamp(min=1)
    counts = np.zeros((len(words), n_layers, n_words), np.int64)
    for below, layer in enumerate(reversed(range(n_layers))):
        passed = ring & (False if passing is None else passing[:, layer])
        ring = ring & ~passed
        if not allowed[layer].any() or not ring.any():
            ring = passed  # nothing is attended to
            continue
        weights = attention[layer] if allowed[layer].all() else attention[layer][:, np.flatnonzero(allowed[layer])]
        paid = _paid(weights.float(), mean, summed, ring)
        strongest = paid.amax(1).cpu().numpy()
        own = ring_threshold(strongest, ring_size(below)) if tau is None else np.full(len(words), tau[layer])
        threshold = torch.from_numpy(own).to(paid)
        counts[:, layer] = (paid > threshold[:, None, None]).sum(1).cpu().numpy()
        ring = (counts[:, layer] > 0) | passed
    return counts


def _paid(weights: torch.Tensor, mean: torch.Tensor, summed: torch.Tensor, ring: NDArray[np.bool_]) -> torch.Tensor:
    """What the words of a ring pay to all words, through each head.

    Args:
        weights: `[N, h, T, T]`: attention of some heads.
        mean: `[N, W, T]`: the share of each token in the mean of its word.
        summed: `[N, W, T]`: 1 for the tokens of a word.
        ring: `[N, W]`: the words that attend; only their rows are computed, for they are few.

    Returns:
        `[N, h * R, W]`, `R` words of the fullest ring; 0 where a ring has fewer.
    """
    most = int(ring.sum(1).max())
    order = np.argsort(~ring, axis=1, kind="stable")[:, :most]  # those of the ring first
    inside = np.take_along_axis(ring, order, axis=1)[..., None]
    rows = mean.gather(1, torch.from_numpy(order[..., None]).to(mean.device).expand(-1, -1, mean.shape[-1]))
    rows = rows * torch.from_numpy(inside).to(mean.device)
    return (rows[:, None] @ weights).flatten(1, 2) @ summed.mT
