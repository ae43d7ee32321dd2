"""Which heads find antecedents: of each mention, how often a head's choice is whom it stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Self, cast, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnflow.errors import SelectionError
from attnflow.lazy import lazy
from attnflow.records.coreference import KINDS, Kind, Mention
from attnflow.stats.antecedents import RULES, Rule, chosen_antecedents
from attnflow.stats.halves import HALVES, half_of, scored
from attnflow.stats.proportion import Proportion
from attnflow.stats.statistic import Statistic, read_only, running
from attnflow.stats.text_maps import Lengths
from attnflow.stats.word_attention import Pooling, among_present

Candidates = Literal["before", "mentions", "all"]
"""The words that a head chooses from: all others before the mention's head, those of them that are in another mention,
as the rules have it, or all others of the text."""
ALL = "all"
"""Mentions of every kind."""


@dataclass(frozen=True)
class AntecedentHead:
    """The head that finds most antecedents."""

    layer: int
    head: int
    on_all: Proportion
    """Chosen on all texts and scored on all, as in the paper: among so many, the best looks better than it is."""
    held_out: Proportion
    """Each half of the texts scored by what is best on the other half, which may be two different heads; of no cases
    if all are in one half."""


@dataclass(frozen=True, eq=False)
class CoreferenceResult:
    """How often each head, and each rule without a model, finds an antecedent, by kind of mention."""

    kinds: tuple[Kind, ...]
    """`[K]`: pronoun, proper, nominal."""
    cases: NDArray[np.int64]
    """`[K, 2]`: mentions with an antecedent, by half of the texts."""
    right: NDArray[np.int64]
    """`[K, 2, L, H]`: by half, mentions of which the head chose the head word of an antecedent."""
    by_rule: NDArray[np.int64]
    """`[K, 3]`: mentions of which a rule did, in the order of `RULES`."""
    candidates: Candidates
    pooling: Pooling
    n_documents: int
    left_out: int
    """Mentions with an antecedent that are no case, because they or all their antecedents have no token."""

    @lazy
    def n(self) -> Mapping[str, int]:
        """Cases by kind, and of all of them under `ALL`."""
        return MappingProxyType({name: int(self._of(self.cases, name).sum()) for name in (*self.kinds, ALL)})

    @lazy
    def accuracy(self) -> Mapping[str, NDArray[np.float64]]:
        """By kind `[L, H]`: the share of cases in which each head is right; 0 where there are none."""
        names = (*self.kinds, ALL)
        found: dict[str, Any] = {name: self._of(self.right, name).sum(axis=0) / max(1, self.n[name]) for name in names}
        return MappingProxyType({name: read_only(np.asarray(found[name])) for name in names})

    def best(self, kind: str = ALL) -> AntecedentHead:
        """The head that finds most antecedents of mentions of a kind.

        Raises:
            SelectionError: If there is no such kind.
        """
        right = self._of(self.right, kind)
        layer, head = map(int, np.unravel_index(int(right.sum(axis=0).argmax()), right.shape[1:]))
        return AntecedentHead(layer, head, *scored(right.reshape(HALVES, -1), self._of(self.cases, kind)))

    def at(self, layer: int, head: int, kind: str = ALL) -> Proportion:
        """How often one head is right.

        Raises:
            SelectionError: If there is no such kind.
        """
        return Proportion(int(self._of(self.right, kind)[:, layer, head].sum()), self.n[kind])

    def baseline(self, rule: Rule, kind: str = ALL) -> Proportion:
        """How often a rule is right, which needs no model.

        Raises:
            SelectionError: If there is no such rule or kind.
        """
        if rule not in RULES:
            raise SelectionError(f"There is no rule {str(rule)[:40]!r}; choose {', '.join(RULES)}.")
        return Proportion(int(self._of(self.by_rule, kind)[RULES.index(rule)]), self.n[kind])

    def _of(self, counts: NDArray[np.int64], kind: str) -> NDArray[np.int64]:
        if kind == ALL:
            return counts.sum(axis=0)
        if kind not in self.kinds:
            raise SelectionError(
                f"There is no kind {str(kind)[:40]!r} of mention; choose all, {', '.join(self.kinds)}."
            )
        return counts[self.kinds.index(kind)]


@dataclass(eq=False)
class CoreferenceHeads(Statistic):
    """Counts for every head how often the word that a mention attends to most is the head word of an antecedent.

    A case is a mention with another one of its chain before it, by their head words. A head chooses, of the
    `candidates`, the word that the mention's head word attends to most, the first of equals.

    Reference:
        Clark et al., *What Does BERT Look At?*, section 4.3, table 2. They leave open which words a head chooses from,
        and choose and score on the same documents, cut to 128 tokens.

    Example:
        >>> anna, she = Mention(0, 0, 1, 0, "proper", ("Anna",)), Mention(0, 2, 3, 2, "pronoun", ("she",))
        >>> to_the_first = np.zeros((1, 1, 3, 3))
        >>> to_the_first[..., 0] = 1
        >>> found = CoreferenceHeads().update(to_the_first, [anna, she]).result()
        >>> found.best("pronoun").on_all, found.baseline("nearest")
        (Proportion(right=1, n=1), Proportion(right=1, n=1))
    """

    pooling: Pooling = "mean"
    """How the attention of words was made of that of tokens; parts must agree."""
    candidates: Candidates = "before"
    cases: NDArray[np.int64] = running(np.int64)
    """`[3, 2]`: by kind and half of the texts."""
    right: NDArray[np.int64] = running(np.int64)
    """`[3, 2, L, H]`"""
    by_rule: NDArray[np.int64] = running(np.int64)
    """`[3, 3]`: by kind and rule."""
    left_out: NDArray[np.int64] = running(np.int64)
    """`[1]`: mentions with an antecedent that have no token, or whose antecedents have none."""

    def update(
        self,
        word_attention: ArrayLike,
        mentions: Sequence[Mention] | Sequence[Sequence[Mention]],
        *,
        there: ArrayLike | None = None,
        lengths: Lengths | None = None,
    ) -> Self:
        """Add a text or a batch.

        Args:
            word_attention: `[L, H, W, W]` between words, as `word_attention` makes it; rows need not sum to 1. If only
                some are `there`, it may be between these alone. Or a batch `[N, L, H, W, W]`, and `[N]` of all else.
            mentions: `[M]`: of the text, in any order; see `Document.mentions`.
            there: `[W]`: whether a word has a token; all if None. One without is no case, and no choice.
            lengths: `[N]`: the words of each text of a batch that is padded on the right.

        Raises:
            SelectionError: If sizes do not agree, a mention is not among the words, or layers or heads differ from
                those of earlier texts.
        """
        if self.candidates not in get_args(Candidates):
            raise SelectionError(f"candidates is {str(self.candidates)[:40]!r}; give 'before', 'mentions' or 'all'.")
        texts = self._texts(word_attention, lengths, "Attention between words")
        batch = np.asarray(word_attention).ndim == 5
        rows = cast("Sequence[Sequence[Mention]]", mentions if batch else [mentions])
        marks = [None] * len(rows) if there is None else np.asarray(there, bool) if batch else [np.asarray(there, bool)]
        if not len(texts) == len(rows) == len(marks):
            raise SelectionError(
                f"There are {len(texts)} texts in the attention and {len(rows)} lists of mentions; give one for each."
            )
        # By itself first, so that all of it is added, or nothing.
        added = type(self)(pooling=self.pooling, candidates=self.candidates)
        for values, own, here in zip(texts, rows, marks, strict=True):
            size = values.shape[-1] if lengths is not None else None
            added._add_text(values, **_counted(values, own, here if here is None else here[:size], self.candidates))
        return self.merge(added)

    def result(self) -> CoreferenceResult:
        """Counts over all texts so far.

        Raises:
            SelectionError: If nothing was added.
        """
        self._check_any()
        cases, right, by_rule = (read_only(np.array(array)) for array in (self.cases, self.right, self.by_rule))
        left_out = int(self.left_out.sum())
        return CoreferenceResult(KINDS, cases, right, by_rule, self.candidates, self.pooling, self.n, left_out)


def _counted(
    values: NDArray[np.floating],
    mentions: Sequence[Mention],
    there: NDArray[np.bool_] | None,
    candidates: Candidates,
) -> dict[str, Any]:
    """The sums of one text."""
    here = np.ones(values.shape[-1], bool) if there is None else there
    values = among_present(values, here)
    if values.shape[-1] != here.sum():
        raise SelectionError(
            f"There are {values.shape[-1]} words in the attention, and {here.size} marks, {int(here.sum())} of which "
            "are there; give a mark for each word."
        )
    _check(mentions, here.size)
    present = [one for one in mentions if here[one.head]]
    heads_of: dict[int, set[int]] = {}  # of each chain once, for it may have many mentions
    for one in mentions:
        heads_of.setdefault(one.chain, set()).add(one.head)
    first = {chain: min(heads) for chain, heads in heads_of.items()}
    read = {chain: [head for head in heads if here[head]] for chain, heads in heads_of.items()}
    antecedents = [{head for head in read[one.chain] if head < one.head} for one in present]
    cases = [place for place, heads in enumerate(antecedents) if heads]
    could_be = sum(first[one.chain] < one.head for one in mentions)
    place = np.cumsum(here) - 1  # of each word among those that are there
    gold = np.zeros((len(cases), values.shape[-1]), bool)
    for row, case in zip(gold, cases, strict=True):
        row[place[sorted(antecedents[case])]] = True
    heads = place[np.array([present[case].head for case in cases], np.int64)]
    hits = _hits(values, heads, gold, _allowed(present, cases, heads, here, candidates))
    rules = np.zeros((len(RULES), 0), np.int64)
    if cases:
        rules = gold[np.arange(len(cases)), place[chosen_antecedents(present, cases)]].astype(np.int64)
    member = np.array([[present[case].kind == kind for case in cases] for kind in KINDS], np.int64)
    member = member.reshape(len(KINDS), len(cases))
    half = half_of(sorted(map(_told, mentions)))
    counts = np.zeros((len(KINDS), HALVES), np.int64)
    right = np.zeros((*counts.shape, *hits.shape[:2]), np.int64)
    counts[:, half] = member.sum(axis=1)
    right[:, half] = np.moveaxis(hits @ member.T, -1, 0)
    left_out = np.array([could_be - len(cases)])
    return {"cases": counts, "right": right, "by_rule": member @ rules.T, "left_out": left_out}


def _told(mention: Mention) -> tuple[int, int, int, int, tuple[str, ...]]:
    """What tells a text from others, whatever the order of its mentions."""
    return int(mention.start), int(mention.end), int(mention.head), int(mention.chain), tuple(mention.words)


def _check(mentions: Sequence[Mention], size: int) -> None:
    for one in mentions:
        inside = 0 <= one.start <= one.head < one.end <= size and len(one.words) in (0, one.end - one.start)
        if not inside or one.kind not in KINDS:
            raise SelectionError(
                f"A mention has the words {one.start} to {one.end}, the head {one.head}, the kind {one.kind!r} and "
                f"{len(one.words)} words as texts, in a text of {size}; give 0 <= start <= head < end <= {size}, a "
                f"kind of {', '.join(KINDS)}, and each of its words or none."
            )


def _allowed(
    mentions: Sequence[Mention],
    cases: Sequence[int],
    heads: NDArray[np.int64],
    here: NDArray[np.bool_],
    candidates: Candidates,
) -> NDArray[np.bool_]:
    """`[C, W]`: which of the words that are there a head may choose."""
    words = np.arange(int(here.sum()), dtype=np.int64)
    if candidates == "all":
        return words != heads[:, None]
    before = words < heads[:, None]
    if candidates == "before":
        return before
    edges = np.zeros(here.size + 1, np.int64)
    for one in mentions:
        edges[one.start] += 1
        edges[one.end] -= 1
    covered = np.cumsum(edges)[:-1][here]
    starts, ends = (np.array([getattr(mentions[case], name) for case in cases], np.int64) for name in ("start", "end"))
    number = np.flatnonzero(here)
    own = (number >= starts[:, None]) & (number < ends[:, None])
    return before & (covered - own > 0)


def _hits(
    values: NDArray[np.floating],
    heads: NDArray[np.int64],
    gold: NDArray[np.bool_],
    allowed: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """`[L, H, C]`: 1 where a head's choice for a mention is the head word of an antecedent."""
    found = np.zeros((*values.shape[:2], len(heads)), np.int64)
    if len(heads):
        for layer, own in enumerate(values):  # one at a time, for a text may have many mentions
            chosen = np.where(allowed, own[:, heads], -1).argmax(axis=-1)
            found[layer] = gold[np.arange(len(heads)), chosen]
    return found
