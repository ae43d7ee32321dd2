"""Whether the heads of two models follow the relations of a treebank equally well: the same words, paired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import SelectionError
from attnflow.records.trees import ROOT
from attnflow.stats.dependencies import ALL, DIRECTIONS, LEAST, Found, governor_hits
from attnflow.stats.halves import HALVES, half_of, scored
from attnflow.stats.proportion import holm, mcnemar
from attnflow.stats.word_attention import among_present

LEVEL = 0.05
"""Of a p-value below which two models are called different."""


@dataclass(frozen=True)
class ComparedRelation:
    """The best heads of two models for one relation, on the same words."""

    relation: str
    a: Found
    b: Found
    only_a: int
    """Words whose governor the held-out head of A finds, and that of B does not."""
    only_b: int
    p: float
    """Of McNemar's exact test of the two; words count as independent, which those of one sentence are not quite."""
    p_corrected: float
    """By Holm for the number of relations; the same for `all`, which is one test by itself."""

    @property
    def n(self) -> int:
        """Words of the relation that have a token in both models, and so have their governors."""
        return self.a.on_all.n

    @property
    def difference(self) -> float:
        """Share of A less that of B, held out."""
        return self.a.held_out.share - self.b.held_out.share

    @property
    def differs(self) -> bool:
        """Whether chance is an unlikely reason, at 5 % over all relations together."""
        return self.p_corrected < LEVEL


@dataclass(frozen=True)
class DependencyComparison:
    """Two models on one treebank."""

    relations: tuple[ComparedRelation, ...]
    """`all` but punctuation first, then each with enough words, the most frequent first."""
    n_sentences: int
    left_out: int
    """Words that are no case, because they or their governor have no token in one of the models."""
    few: int
    """Relations with too few words, or with words in one half of the sentences alone, to be told."""
    failed: tuple[tuple[str, str], ...] = ()
    """Name of each sentence that could not be read, and why."""

    def __getitem__(self, relation: str) -> ComparedRelation:
        found = {one.relation: one for one in self.relations}
        if relation not in found:
            raise SelectionError(
                f"There is no relation {str(relation)[:40]!r} with enough words; choose {', '.join(found)[:300]}."
            )
        return found[relation]


def shared_cases(
    governor: Sequence[int], there_a: NDArray[np.bool_], there_b: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], int]:
    """The words `[C]` that are cases for both models, and how many are for one at most.

    Args:
        governor: `[W]`: of each word, -1 for the root.
        there_a: `[W]`: which words have a token in A.
        there_b: `[W]`: likewise.
    """
    governs, here = np.asarray(governor, np.int64), there_a & there_b
    governed = governs != ROOT
    case = governed & here & here[np.where(governed, governs, 0)]
    return np.flatnonzero(case), int((governed & ~case).sum())


def packed_hits(
    word_attention: NDArray[np.floating], there: NDArray[np.bool_], governor: Sequence[int], cases: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Which heads find the governor of each case: a bit for each direction, layer and head.

    Args:
        word_attention: `[L, H, W, W]`, or between the words that are there.
        there: `[W]`: which words have a token.
        governor: `[W]`
        cases: `[C]`: words.

    Returns:
        `[C, B]`: the bits of `[2, L, H]`, eight in a byte.
    """
    place = np.cumsum(there) - 1
    governors = np.asarray(governor, np.int64)[cases]
    hits = governor_hits(among_present(word_attention, there), place[cases], place[governors])
    return np.packbits(hits.reshape(int(np.prod(hits.shape[:3])), len(cases)).T.astype(bool), axis=1)


@dataclass
class PairedHits:
    """The cases of all sentences so far, and which heads of either model find their governors.

    It grows by a bit for each word, head and direction: 70 bytes a word of two models of 12 layers and 12 heads.
    """

    heads_a: tuple[int, int]
    """`L, H` of A."""
    heads_b: tuple[int, int]
    relation: list[str] = field(default_factory=list[str])
    half: list[int] = field(default_factory=list[int])
    a: list[NDArray[np.uint8]] = field(default_factory=list[Any])
    b: list[NDArray[np.uint8]] = field(default_factory=list[Any])
    n_sentences: int = 0
    left_out: int = 0

    def add(
        self,
        governor: Sequence[int],
        relation: Sequence[str],
        cases: NDArray[np.int64],
        hits: tuple[NDArray[np.uint8], NDArray[np.uint8]],
        left_out: int = 0,
    ) -> None:
        """Add a sentence.

        Args:
            governor: `[W]`: of each word.
            relation: `[W]`: to its governor.
            cases: `[C]`: words, as `shared_cases` tells them.
            hits: What `packed_hits` makes of both models.
            left_out: Words that are no case.
        """
        half = half_of([int(one) for one in governor], [str(name) for name in relation])
        self.relation += [str(relation[word]) for word in cases.tolist()]
        self.half += [half] * len(cases)
        self.a.append(hits[0])
        self.b.append(hits[1])
        self.n_sentences += 1
        self.left_out += left_out

    def compared(
        self, *, subtypes: bool = True, least: int = LEAST, failed: Sequence[tuple[str, str]] = ()
    ) -> DependencyComparison:
        """Compare the best heads of both models, relation by relation.

        Args:
            subtypes: Whether relations such as `nsubj:pass` are told by themselves; if not, they count as `nsubj`.
            least: Words that a relation must have.
            failed: What is to be told of sentences that were not added.

        Raises:
            SelectionError: If there is no case, or one half of the sentences has none.
        """
        if not self.relation:
            raise SelectionError("No word has a governor that both models read; give sentences with trees.")
        names = np.array(self.relation if subtypes else [name.partition(":")[0] for name in self.relation])
        half, a, b = np.array(self.half), np.concatenate(self.a), np.concatenate(self.b)
        known, counts = np.unique(names, return_counts=True)
        enough = [count >= least and _in_both(half[names == name]) for name, count in zip(known, counts, strict=True)]
        told = [str(name) for name in known[enough]]
        told.sort(key=lambda name: (-int((names == name).sum()), name))
        pooled = np.array([name.partition(":")[0] != "punct" for name in names])
        if pooled.any() and not _in_both(half[pooled]):
            raise SelectionError(
                f"Sentences are too few ({self.n_sentences:,}): heads are chosen on one half of them and compared "
                "on the other, and one half has no case; give more."
            )
        rows = [self._compared(name, half[of], a[of], b[of]) for name in told for of in [names == name]]
        corrected = holm([row.p for row in rows])
        rows = [_with_corrected(row, p) for row, p in zip(rows, corrected, strict=True)]
        if pooled.any():
            rows.insert(0, self._compared(ALL, half[pooled], a[pooled], b[pooled]))
        few = len(known) - len(told)
        return DependencyComparison(tuple(rows), self.n_sentences, self.left_out, few, tuple(failed))

    def _compared(
        self, name: str, half: NDArray[np.int64], a: NDArray[np.uint8], b: NDArray[np.uint8]
    ) -> ComparedRelation:
        best_a, hit_a = _best(half, a, self.heads_a)
        best_b, hit_b = _best(half, b, self.heads_b)
        only_a, only_b = int((hit_a & ~hit_b).sum()), int((hit_b & ~hit_a).sum())
        p = mcnemar(only_a, only_b)
        return ComparedRelation(name, best_a, best_b, only_a, only_b, p, p)


def _in_both(half: NDArray[np.int64]) -> bool:
    """Whether each half of the sentences has a case, without which no head could be chosen for those of the other."""
    return len(np.unique(half)) == HALVES


def _with_corrected(row: ComparedRelation, p: float) -> ComparedRelation:
    return ComparedRelation(row.relation, row.a, row.b, row.only_a, row.only_b, row.p, p)


def _best(
    half: NDArray[np.int64], packed: NDArray[np.uint8], heads: tuple[int, int]
) -> tuple[Found, NDArray[np.bool_]]:
    """The best head, and `[C]` whether the head that is best on the other half finds each governor."""
    axes = (len(DIRECTIONS), *heads)
    hits = np.unpackbits(packed, axis=1, count=int(np.prod(axes)))  # [C, 2 * L * H]
    right = np.stack([hits[half == one].sum(axis=0, dtype=np.int64) for one in range(HALVES)])
    cases = np.bincount(half, minlength=HALVES)
    direction, layer, head = map(int, np.unravel_index(int(right.sum(axis=0).argmax()), axes))
    held_out = hits[np.arange(len(half)), right.argmax(axis=1)[1 - half]].astype(bool)
    return Found(DIRECTIONS[direction], layer, head, None, *scored(right, cases)), held_out
