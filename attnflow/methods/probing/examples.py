"""What probes are trained on: sentences with trees, attention between their words, and vectors of the words.

Axes here: `B` sentences of a batch, `W` words of the longest, `S = 2 + W` words and the two marks before them, `K` the
heads of all layers, `V` different words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow.methods.probing.attention_file import MARKS, AttentionFile

SENTENCES_AT_ONCE, PAIRS_AT_ONCE = 32, 20_000
"""Of one batch; pairs of words bound its memory, where sentences are long."""
LEAST_STEPS = 100
"""Batches that are learnt from in an epoch, where there are as many sentences: few sentences go in small batches."""


GONE = -2
"""The governor of a word whose governor has no token."""


@dataclass(frozen=True, eq=False)
class Example:
    """One sentence; `W` words that have a token, as one without is no case and no candidate."""

    row: int
    """Which of `AttentionFile`."""
    governor: NDArray[np.int64]
    """`[W]`: the word that governs each, `ROOT`, or `GONE`."""
    scored: NDArray[np.bool_]
    """`[W]`: whether it counts, as punctuation does not."""
    vector: NDArray[np.int64]
    """`[W]`: which row of the table of vectors."""
    marked: bool
    """Whether the text has a special token before or after it."""

    def __len__(self) -> int:
        return len(self.governor)

    @property
    def learnt(self) -> NDArray[np.bool_]:
        """`[W]`: words whose governor is there, or that are the root."""
        return self.governor != GONE

    @property
    def cases(self) -> NDArray[np.bool_]:
        """`[W]`: those of them that count."""
        return self.learnt & self.scored

    def shuffled(self, generator: np.random.Generator) -> Example:
        """The same tree over the same words in another order: of the same shape, and without any grammar.

        Words keep their places, attention and vectors, and change places in the tree.
        """
        place = generator.permutation(len(self))
        governor, scored = np.empty_like(self.governor), np.empty_like(self.scored)
        governor[place] = np.where(self.governor < 0, self.governor, place[self.governor])
        scored[place] = self.scored
        return replace(self, governor=governor, scored=scored)


@dataclass(frozen=True, eq=False)
class Batch:
    """Some sentences, the shorter ones filled up on the right."""

    attention: torch.Tensor
    """`[B, S, S, K]` as `[query, key]`."""
    vectors: torch.Tensor
    """`[B, W, D]`"""
    target: torch.Tensor
    """`[B, W]`: the governor of each word; `W` for the root."""
    learnt: torch.Tensor
    """`[B, W]`: words that are learnt from."""
    cases: torch.Tensor
    """`[B, W]`: words that count."""
    candidate: torch.Tensor
    """`[B, W, W + 1]`: which words may govern each, and last the root, which always may."""
    sizes: torch.Tensor
    """`[B]`: words of each."""
    marked: torch.Tensor
    """`[B]`: whether there are marks."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Sentences of one collection, as one model reads them."""

    sentences: tuple[Example, ...]
    attention: AttentionFile
    vectors: NDArray[np.float32]
    """`[V, D]`"""

    def __len__(self) -> int:
        return len(self.sentences)

    def chosen(self, sentences: Sequence[Example]) -> Examples:
        """The same with other sentences, such as some of them, or with other trees."""
        return replace(self, sentences=tuple(sentences))

    def with_attention(self, attention: AttentionFile) -> Examples:
        """The same as another model reads it."""
        return replace(self, attention=attention)

    def batches(self, generator: np.random.Generator | None = None) -> Iterator[Batch]:
        """All sentences in batches of similar length: in an order that is drawn, to learn from, or shortest first."""
        most = SENTENCES_AT_ONCE if generator is None else min(max(1, len(self) // LEAST_STEPS), SENTENCES_AT_ONCE)
        order = np.arange(len(self)) if generator is None else generator.permutation(len(self))
        order = order[np.argsort([len(self.sentences[row]) for row in order], kind="stable")]
        groups: list[list[Example]] = [[]]
        for row in order:
            one = self.sentences[row]
            full = len(groups[-1]) == most or (len(groups[-1]) + 1) * len(one) ** 2 > PAIRS_AT_ONCE
            if groups[-1] and full:
                groups.append([])
            groups[-1].append(one)
        for number in range(len(groups)) if generator is None else generator.permutation(len(groups)):
            yield self._batch(groups[number])

    def _batch(self, group: Sequence[Example]) -> Batch:
        width = max(map(len, group))
        attention = np.zeros((len(group), width + MARKS, width + MARKS, self.attention.n_maps), np.float16)
        vector = np.zeros((len(group), width), np.int64)
        target = np.full((len(group), width), width, np.int64)
        here, learnt, cases = np.zeros((3, len(group), width), bool)
        for row, one in enumerate(group):
            size = len(one)
            attention[row, : size + MARKS, : size + MARKS] = self.attention.read(one.row)
            target[row, :size] = np.where(one.governor < 0, width, one.governor)
            vector[row, :size], here[row, :size] = one.vector, True
            learnt[row, :size], cases[row, :size] = one.learnt, one.cases
        return Batch(
            attention=torch.from_numpy(attention).to("cpu", torch.float32),
            vectors=torch.from_numpy(self.vectors[vector]).to("cpu"),
            target=torch.from_numpy(target).to("cpu"),
            learnt=torch.from_numpy(learnt).to("cpu"),
            cases=torch.from_numpy(cases).to("cpu"),
            candidate=torch.from_numpy(candidates(here)).to("cpu"),
            sizes=torch.tensor([len(one) for one in group], device="cpu"),
            marked=torch.tensor([one.marked for one in group], device="cpu"),
        )


def candidates(here: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`[B, W, W + 1]`: which words may govern each: those that are there, but the word itself, and last the root."""
    other = ~np.eye(here.shape[-1], dtype=bool) & here[:, None, :]
    return np.concatenate([other, np.ones((*here.shape, 1), bool)], axis=-1)


def alone(attention: torch.Tensor, vectors: torch.Tensor, groups: NDArray[np.int32]) -> Batch:
    """A sentence whose tree is not known, as a batch.

    Args:
        attention: `[K, S, S]` as `[query, key]`.
        vectors: `[W, D]`
        groups: `[T]`: which mark or word each token belongs to.
    """
    size = len(vectors)
    nothing = torch.zeros(1, size, dtype=torch.bool, device=attention.device)
    return Batch(
        attention=attention.permute(1, 2, 0)[None],
        vectors=vectors[None],
        target=torch.full((1, size), size, device=attention.device),
        learnt=nothing,
        cases=nothing,
        candidate=torch.from_numpy(candidates(np.ones((1, size), bool))).to(attention.device),
        sizes=torch.tensor([size], device=attention.device),
        marked=torch.tensor([has_marks(groups)], device=attention.device),
    )


def has_marks(groups: NDArray[np.int32]) -> bool:
    """Whether a text has a special token before or after it."""
    return bool(((groups >= 0) & (groups < MARKS)).any())
