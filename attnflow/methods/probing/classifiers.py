"""The classifiers: each scores every word of a sentence, and the root, as the governor of every other word.

Axes as in `examples`; scores are `[B, W, W + 1]` as `[dependent, governor]`, the root last.
"""

from __future__ import annotations

import math
from typing import Literal, cast, get_args

import torch
from torch import nn

from attnflow.methods.probing.attention_file import MARKS
from attnflow.methods.probing.examples import Batch

Kind = Literal["attention", "attention and words", "words and distances"]
KINDS: tuple[Kind, ...] = get_args(Kind)
HIDDEN = 256
"""Of the one hidden layer of words and distances."""
NEAR = 2
"""Distances up to which each has an indicator of its own."""
N_DISTANCES = 2 + 2 * NEAR + 1


class Classifier(nn.Module):
    """Scores of governors; `rate` is the step that it is trained with at first."""

    rate: float

    def forward(self, batch: Batch) -> torch.Tensor:
        """`[B, W, W + 1]`; what is no candidate has any score."""
        raise NotImplementedError

    def log_probabilities(self, batch: Batch) -> torch.Tensor:
        """`[B, W, W + 1]`: log p(governor | dependent); minus infinity for what is no candidate."""
        scores = cast("torch.Tensor", self(batch))
        return scores.masked_fill(~batch.candidate, -math.inf).log_softmax(-1)


class AttentionClassifier(Classifier):
    """A linear combination of both directions of all heads.

    `s(j, i) = sum_k w_k a_k[j, i] + u_k a_k[i, j]` for the word `i` as governor of `j`, where `a_k[j, i]` is what `j`
    pays `i`. The root's score is the same combination of what goes to and from the first special token, times one
    weight, and the last, times another. Where a model writes neither, it is one learnt number instead.
    """

    rate = 0.05

    def __init__(self, n_maps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_maps, 2, device="cpu"))
        """`[K, 2]`: `w` (dependent to governor) and `u` (governor to dependent)."""
        self.root = nn.Parameter(torch.tensor([1.0, 1.0, 0.0], device="cpu"))
        """Of the first and the last special token, and the number where there is neither."""

    def forward(self, batch: Batch) -> torch.Tensor:
        """`[B, W, W + 1]`"""
        paid = batch.attention @ self.weight  # [B, S, S, 2]
        scores = (paid[..., 0] + paid[..., 1].transpose(1, 2))[:, MARKS:]  # [B, W, S]
        return torch.cat([scores[..., MARKS:], _root(scores, self.root, batch)], dim=-1)


class WordsClassifier(Classifier):
    """The same with weights that depend on the vectors of the two words.

    The weights of a head are `W_k (v_i + v_j) + b_k`, where `+` puts one vector after the other; those of the root, for
    which there is no word, are `b_k` alone. As attention is multiplied with what each word adds by itself, no array
    of words times words times vectors is ever made.
    """

    rate = 0.002

    def __init__(self, n_maps: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width, 4, n_maps, device="cpu"))
        """`[D, 4, K]`: for what the dependent pays by the dependent's vector, for what the governor pays by the
        governor's, for what the dependent pays by the governor's, and for what the governor pays by the dependent's."""
        self.bias = nn.Parameter(torch.zeros(n_maps, 2, device="cpu"))
        """`[K, 2]`: as the weights of attention alone."""
        self.root = nn.Parameter(torch.tensor([1.0, 1.0, 0.0], device="cpu"))

    def forward(self, batch: Batch) -> torch.Tensor:
        """`[B, W, W + 1]`"""
        paid = batch.attention @ self.bias
        scores = (paid[..., 0] + paid[..., 1].transpose(1, 2))[:, MARKS:]
        between = batch.attention[:, MARKS:, MARKS:]  # [B, W, W, K] as [query, key]
        own = torch.einsum("bwd,dpk->bwpk", batch.vectors, self.weight)
        by_query = _product(between, own[:, :, :2])  # [B, query, key, 2]
        by_key = _product(between.transpose(1, 2), own[:, :, 2:])  # [B, key, query, 2]
        words = by_query[..., 0] + by_query[..., 1].transpose(1, 2) + by_key[..., 0].transpose(1, 2) + by_key[..., 1]
        return torch.cat([scores[..., MARKS:] + words, _root(scores, self.root, batch)], dim=-1)


class DistanceClassifier(Classifier):
    """One hidden layer over the vectors of two words and how far apart they stand, without any attention.

    Of the root it is known that it is the root. Distances: how far ahead, and how far back, in shares of the sentence,
    and whether it is one or two places ahead or back.
    """

    rate = 0.002

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        inputs = 2 * width + N_DISTANCES
        bound, bound_out = math.sqrt(6 / (inputs + HIDDEN)), math.sqrt(6 / (HIDDEN + 1))  # Glorot's
        self.words = nn.Parameter(
            torch.empty(width, 2, HIDDEN, device="cpu").uniform_(-bound, bound, generator=generator)
        )
        """`[D, 2, 256]`: of dependent and governor."""
        self.distances = nn.Parameter(
            torch.empty(N_DISTANCES, HIDDEN, device="cpu").uniform_(-bound, bound, generator=generator)
        )
        self.bias = nn.Parameter(torch.zeros(HIDDEN, device="cpu"))
        self.out = nn.Parameter(torch.empty(HIDDEN, device="cpu").uniform_(-bound_out, bound_out, generator=generator))

    def forward(self, batch: Batch) -> torch.Tensor:
        """`[B, W, W + 1]`"""
        own = torch.einsum("bwd,dph->pbwh", batch.vectors, self.words)
        size = batch.vectors.shape[1]
        apart = distances(size, batch.sizes) @ self.distances  # [B, W, W + 1, 256]
        pairs = own[0][:, :, None] + own[1][:, None]
        pairs = torch.cat([pairs, pairs.new_zeros(*pairs.shape[:2], 1, HIDDEN)], dim=2)
        return torch.tanh(pairs + apart + self.bias) @ self.out


def distances(width: int, sizes: torch.Tensor) -> torch.Tensor:
    """`[B, W, W + 1, 7]`: how far the governor stands from the dependent, and whether it is the root."""
    places = torch.arange(width, device=sizes.device)
    offset = places[None, :] - places[:, None]  # [dependent, governor]
    share = offset / sizes[:, None, None]
    near = [(offset == step).expand_as(share).float() for step in (*range(-NEAR, 0), *range(1, NEAR + 1))]
    of_words = torch.stack([share.clamp(min=0), (-share).clamp(min=0), *near, torch.zeros_like(share)], dim=-1)
    of_root = torch.zeros(len(sizes), width, 1, N_DISTANCES, device=sizes.device)
    of_root[..., -1] = 1
    return torch.cat([of_words, of_root], dim=2)


def _product(between: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """`[B, W, W, 2]`: the sum over the heads, with the weights `[B, W, 2, K]` of the words along the first axis."""
    count, size, _, n_maps = between.shape
    flat = between.reshape(count * size, size, n_maps)
    return (flat @ weights.reshape(count * size, 2, n_maps).transpose(1, 2)).view(count, size, size, 2)


def _root(scores: torch.Tensor, weights: torch.Tensor, batch: Batch) -> torch.Tensor:
    """`[B, W, 1]` of what goes to and from the marks."""
    return torch.where(batch.marked[:, None], scores[..., :MARKS] @ weights[:MARKS], weights[MARKS])[..., None]


def untrained(kind: Kind, n_maps: int, width: int, generator: torch.Generator) -> Classifier:
    """A classifier that knows nothing yet.

    Args:
        kind: Which.
        n_maps: `K`
        width: `D` of the vectors of words.
        generator: Draws the weights of those that have a hidden layer; linear ones start at zero.
    """
    if kind == "attention":
        return AttentionClassifier(n_maps)
    if kind == "attention and words":
        return WordsClassifier(n_maps, width)
    return DistanceClassifier(width, generator)
