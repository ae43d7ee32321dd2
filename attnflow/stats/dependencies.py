"""Which heads follow grammar: for each relation of a treebank, how often a head's choice is the governor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, Self, cast, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnflow.errors import SelectionError
from attnflow.lazy import lazy
from attnflow.records.shares import percent
from attnflow.records.trees import ROOT
from attnflow.stats.halves import HALVES, half_of, scored
from attnflow.stats.proportion import Proportion
from attnflow.stats.statistic import Statistic, named, read_only, running
from attnflow.stats.text_maps import Lengths
from attnflow.stats.word_attention import Pooling, among_present

Direction = Literal["dependent to governor", "governor to dependent"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
"""What is looked at: which word the dependent attends to most, or which word attends most to the dependent."""
OFFSETS = (*range(-5, 0), *range(1, 6))
"""What needs no model: always the word so many places further on."""
ALL = "all"
"""All relations but `punct`; the root, which no word governs, is never a case."""
MOST_RELATIONS = 1_000
"""Of a collection; the treebanks of Universal Dependencies have at most some dozens."""
LEAST = 20
"""Cases from which on a relation is spoken of."""


@dataclass(frozen=True)
class Found:
    """The head, or the offset, that finds most governors of a relation."""

    direction: Direction | None
    """None of an offset."""
    layer: int | None
    head: int | None
    offset: int | None
    """None of a head."""
    on_all: Proportion
    """Chosen on all sentences and scored on all, as in the paper: among so many, the best looks better than it is."""
    held_out: Proportion
    """Each half of the sentences scored by what is best on the other half, which may be two different heads; of no
    cases if all are in one half."""


@dataclass(frozen=True, eq=False)
class DependencyResult:
    """How often each head finds the governor, by relation."""

    relations: tuple[str, ...]
    """`[R]`, sorted; without the root."""
    cases: NDArray[np.int64]
    """`[R, 2]`: words of the relation, by half of the sentences."""
    right: NDArray[np.int64]
    """`[R, 2, 2, L, H]`: by half and direction, words whose governor the head chose."""
    by_offset: NDArray[np.int64]
    """`[R, 2, 10]`: by half, words whose governor is that many places further on, in the order of `OFFSETS`."""
    pooling: Pooling
    n_sentences: int
    left_out: int
    """Words that are no case, because they or their governor have no token."""

    @lazy
    def n(self) -> Mapping[str, int]:
        """Cases by relation, and of all of them under `ALL`."""
        return MappingProxyType({name: int(self._cases(name).sum()) for name in (*self.relations, ALL)})

    @lazy
    def accuracy(self) -> Mapping[str, NDArray[np.float64]]:
        """By relation `[2, L, H]`: the share of cases in which each head is right, by direction."""
        names = (*self.relations, ALL)
        found: dict[str, Any] = {name: self._right(name).sum(axis=0) / max(1, self.n[name]) for name in names}
        return MappingProxyType({name: read_only(np.asarray(found[name])) for name in names})

    def best(self, relation: str) -> Found:
        """The head and direction that find most governors.

        Raises:
            SelectionError: If there is no such relation.
        """
        right = self._right(relation)
        place = np.unravel_index(int(right.sum(axis=0).argmax()), right.shape[1:])
        direction, layer, head = (int(number) for number in place)
        on_all, held_out = scored(right.reshape(HALVES, -1), self._cases(relation))
        return Found(DIRECTIONS[direction], layer, head, None, on_all, held_out)

    def baseline(self, relation: str) -> Found:
        """The fixed offset that finds most governors.

        Raises:
            SelectionError: If there is no such relation.
        """
        right = self._of(self.by_offset, relation)
        on_all, held_out = scored(right, self._cases(relation))
        return Found(None, None, None, OFFSETS[int(right.sum(axis=0).argmax())], on_all, held_out)

    def followed(self, least: int = LEAST) -> NDArray[np.str_]:
        """The relations that each head follows best of all, and better than an offset on held-out sentences.

        Args:
            least: Cases that a relation must have.

        Returns:
            `[L, H]`: their names, with the share of governors found, separated by commas.
        """
        found: dict[tuple[int, int], list[str]] = {}
        for relation in self.relations:
            best, baseline = self.best(relation), self.baseline(relation)
            if self.n[relation] >= least and best.held_out.right > baseline.held_out.right:
                assert best.layer is not None and best.head is not None
                found.setdefault((best.layer, best.head), []).append(f"{relation} {percent(best.held_out.share)}")
        layers, heads = map(range, self.right.shape[-2:])
        return np.array([[", ".join(found.get((layer, head), [])) for head in heads] for layer in layers])

    def universal(self) -> DependencyResult:
        """The same with subtypes counted under what they are of: `nsubj:pass` under `nsubj`."""
        kinds = sorted({name.partition(":")[0] for name in self.relations})
        member = np.array([[name.partition(":")[0] == kind for name in self.relations] for kind in kinds], np.int64)

        def summed(counts: NDArray[np.int64]) -> NDArray[np.int64]:
            return read_only(np.tensordot(member, counts, 1)) if kinds else counts

        return replace(
            self,
            relations=tuple(kinds),
            cases=summed(self.cases),
            right=summed(self.right),
            by_offset=summed(self.by_offset),
        )

    def _cases(self, relation: str) -> NDArray[np.int64]:
        return self._of(self.cases, relation)

    def _right(self, relation: str) -> NDArray[np.int64]:
        return self._of(self.right, relation)

    def _of(self, counts: NDArray[np.int64], relation: str) -> NDArray[np.int64]:
        if relation == ALL:
            return counts[[name.partition(":")[0] != "punct" for name in self.relations]].sum(axis=0)
        if relation not in self.relations:
            known = ", ".join(self.relations)[:300]
            raise SelectionError(f"There is no relation {relation[:40]!r}; choose all, {known}.")
        return counts[self.relations.index(relation)]


@dataclass(eq=False)
class DependencyHeads(Statistic):
    """Counts for every head how often the word that it chooses for a word is its governor.

    A head chooses the word, other than the word itself, that the word attends to most (*dependent to governor*), or
    that attends to it most (*governor to dependent*); the first of equals.

    Reference:
        Clark et al., *What Does BERT Look At?*, sections 4.1 and 4.2, table 1. They choose and score on the same
        sentences, and take offsets of -3 to 2.

    Example:
        >>> to_the_next = np.eye(3, k=1)[None, None]
        >>> found = DependencyHeads().update(to_the_next, [1, -1, 1], ["det", "root", "obj"]).result()
        >>> found.accuracy["det"][0, 0, 0], found.accuracy["obj"][:, 0, 0]
        (np.float64(1.0), array([0., 1.]))
    """

    pooling: Pooling = "mean"
    """How the attention of words was made of that of tokens; parts must agree."""
    relations: tuple[str, ...] = named(MOST_RELATIONS)
    """`[R]`, sorted."""
    cases: NDArray[np.int64] = running(np.int64, by="relations")
    """`[R, 2]`: words, by half of the sentences."""
    right: NDArray[np.int64] = running(np.int64, by="relations")
    """`[R, 2, 2, L, H]`: by half and direction."""
    by_offset: NDArray[np.int64] = running(np.int64, by="relations")
    """`[R, 2, 10]`"""
    left_out: NDArray[np.int64] = running(np.int64)
    """`[1]`: words that have no token, or whose governor has none."""

    def update(
        self,
        word_attention: ArrayLike,
        governor: ArrayLike,
        relation: Sequence[str] | Sequence[Sequence[str]],
        *,
        there: ArrayLike | None = None,
        lengths: Lengths | None = None,
    ) -> Self:
        """Add a sentence or a batch.

        Args:
            word_attention: `[L, H, W, W]` between words, as `word_attention` makes it; rows need not sum to 1. If only
                some are `there`, it may be between these alone. Or a batch `[N, L, H, W, W]`, and `[N, W]` of all else.
            governor: `[W]`: the word that governs each, -1 for the root.
            relation: `[W]`: to its governor.
            there: `[W]`: whether a word has a token; all if None. A word without one is no case, and no choice.
            lengths: `[N]`: the words of each sentence of a batch that is padded on the right.

        Raises:
            SelectionError: If sizes do not agree, a governor is no other word, or layers or heads differ from those of
                earlier sentences.
        """
        sentences = self._texts(word_attention, lengths, "Attention between words")
        batch = np.asarray(word_attention).ndim == 5
        rows = [np.asarray(one) for one in np.asarray(governor)] if batch else [np.asarray(governor)]
        kinds = cast("Sequence[Sequence[str]]", relation if batch else [relation])
        marks = [None] * len(rows) if there is None else np.asarray(there, bool) if batch else [np.asarray(there, bool)]
        if not len(sentences) == len(rows) == len(kinds) == len(marks):
            raise SelectionError(
                f"There are {len(sentences)} sentences in the attention, {len(rows)} rows of governors and "
                f"{len(kinds)} of relations; give one of each for every sentence."
            )
        added = type(self)(pooling=self.pooling)  # by itself first, so that all of it is added, or nothing
        for values, governs, named_by, here in zip(sentences, rows, kinds, marks, strict=True):
            size = values.shape[-1] if lengths is not None else None
            counts = _counted(values, governs[:size], named_by[:size], here if here is None else here[:size])
            added._add_text(values, **counts)
        return self.merge(added)

    def result(self) -> DependencyResult:
        """Counts over all sentences so far.

        Raises:
            SelectionError: If nothing was added.
        """
        self._check_any()
        counts = (read_only(np.array(array)) for array in (self.cases, self.right, self.by_offset))
        cases, right, by_offset = counts
        return DependencyResult(self.relations, cases, right, by_offset, self.pooling, self.n, int(self.left_out.sum()))


def _counted(
    values: NDArray[np.floating],
    governor: NDArray[Any],
    relation: Sequence[str],
    there: NDArray[np.bool_] | None,
) -> dict[str, Any]:
    """The sums of one sentence."""
    here = np.ones(values.shape[-1], bool) if there is None else there
    size, values = here.size, among_present(values, here)
    if values.shape[-1] != here.sum() or governor.shape != (size,) or len(relation) != size or here.shape != (size,):
        raise SelectionError(
            f"There are {values.shape[-1]} words in the attention, and {governor.size} governors, {len(relation)} "
            f"relations and {here.size} marks of which are there; give one of each for every word."
        )
    words = np.arange(size, dtype=np.int64)
    if governor.dtype.kind not in "iu" or not ((governor >= ROOT) & (governor < size) & (governor != words)).all():
        raise SelectionError(f"Governors are numbers of other words, 0 to {size - 1}, and -1 for the root.")
    governed = governor != ROOT
    case = governed & here & here[np.where(governed, governor, 0)]
    dependents, governors = words[case], governor[case]
    kinds = tuple(sorted({str(relation[word]) for word in dependents}))
    member = np.array([[relation[word] == kind for word in dependents] for kind in kinds], np.int64)
    member = member.reshape(len(kinds), len(dependents))
    place = np.cumsum(here) - 1  # of each word among those that are there
    hits = governor_hits(values, place[dependents], place[governors])
    half = half_of(governor.tolist(), [str(name) for name in relation])
    cases = np.zeros((len(kinds), HALVES), np.int64)
    by_offset = np.zeros((*cases.shape, len(OFFSETS)), np.int64)
    right = np.zeros((*cases.shape, *hits.shape[:3]), np.int64)
    cases[:, half] = member.sum(axis=1)
    by_offset[:, half] = member @ (governors[:, None] - dependents[:, None] == np.array(OFFSETS))
    right[:, half] = np.moveaxis(hits @ member.T, -1, 0)
    left_out = np.array([(governed & ~case).sum()])
    return {"relations": kinds, "cases": cases, "right": right, "by_offset": by_offset, "left_out": left_out}


def governor_hits(
    values: NDArray[np.floating],
    dependents: NDArray[np.integer],
    governors: NDArray[np.integer],
) -> NDArray[np.int64]:
    """Which heads find which governors.

    Args:
        values: `[L, H, W, W]`: attention between words.
        dependents: `[C]`: words.
        governors: `[C]`: the governor of each.

    Returns:
        `[2, L, H, C]`: 1 where a head's choice for a dependent is its governor, by direction.
    """
    return (head_choices(values, dependents) == governors).astype(np.int64)


def head_choices(word_attention: NDArray[np.floating], words: NDArray[np.integer]) -> NDArray[np.int64]:
    """The word that each head chooses for some words, as `DependencyHeads` counts it.

    Args:
        word_attention: `[L, H, W, W]`
        words: `[case]`: numbers of words.

    Returns:
        `[2, L, H, case]`: by direction the number of another word; -1 where there is no other.
    """
    size = word_attention.shape[-1]
    if size < 2 or not len(words):
        return np.full((len(DIRECTIONS), *word_attention.shape[:2], len(words)), -1)
    itself = np.arange(size, dtype=np.int64)[:, None] == words  # [W, case]: the only word that is no choice
    of_dependent, of_governor = word_attention[:, :, words].swapaxes(-1, -2), word_attention[..., words]
    return np.stack([np.where(itself, -1, shares).argmax(axis=-2) for shares in (of_dependent, of_governor)])
