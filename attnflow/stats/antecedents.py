"""Finds antecedents without a model: the nearest mention, one with the same head word, and a system of four sieves."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from operator import attrgetter
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from attnflow.records.coreference import Mention

Rule = Literal["nearest", "head match", "sieves"]
RULES: tuple[Rule, ...] = get_args(Rule)
"""The nearest other mention before; the nearest with the same head word, else the nearest; and the nearest of the first
sieve that lets one through: all words the same, the same head word, a number, gender and person that agree, any."""


def chosen_antecedents(mentions: Sequence[Mention], cases: Sequence[int]) -> NDArray[np.int64]:
    """The head word of the mention that each rule takes for the antecedent.

    Another mention comes before one if its head word does, and it does not lie within it. The nearest is the one whose
    head word comes last. Words are compared in lower case, and what is not known of a mention agrees with everything.

    Args:
        mentions: `[M]`: of one text.
        cases: `[C]`: which of them look for an antecedent; each has another mention before it.

    Returns:
        `[3, C]`: in the order of `RULES`.
    """
    chosen = [mentions[case] for case in cases]
    heads = np.array([mention.head for mention in mentions], np.int64)
    starts, ends = (np.array([getattr(one, name) for one in mentions], np.int64) for name in ("start", "end"))
    own, first, last = heads[list(cases)], starts[list(cases)], ends[list(cases)]
    within = (starts >= first[:, None]) & (ends <= last[:, None])
    any_before = heads < own[:, None]
    before = any_before & ~within
    before |= any_before & ~before.any(axis=1, keepdims=True)  # it has no other
    same_head = before & _equal(chosen, mentions, lambda one: one.head_word.lower() or None)
    same_words = before & _equal(chosen, mentions, lambda one: tuple(map(str.lower, one.words)) or None)
    agreeing = before.copy()
    for name in ("number", "gender", "person"):
        agreeing &= _equal(chosen, mentions, attrgetter(name), unknown=True)
    orders = ((before,), (same_head, before), (same_words, same_head, agreeing, before))
    return np.stack([_nearest(order, heads) for order in orders])


def _equal(
    chosen: Sequence[Mention],
    mentions: Sequence[Mention],
    of: Callable[[Mention], Hashable],
    unknown: bool = False,
) -> NDArray[np.bool_]:
    """`[C, M]`: whether two have the same; `unknown` where one of them has nothing."""
    number: dict[Hashable, int] = {None: -1}
    for mention in mentions:
        number.setdefault(of(mention), len(number))
    theirs = np.array([number[of(one)] for one in mentions], np.int64)
    own = np.array([number[of(one)] for one in chosen], np.int64)[:, None]
    both = (own >= 0) & (theirs >= 0)
    return np.where(both, own == theirs, unknown)


def _nearest(order: Sequence[NDArray[np.bool_]], heads: NDArray[np.int64]) -> NDArray[np.int64]:
    """`[C]`: of each case the last head word that the first sieve with any lets through."""
    found = np.full(len(order[0]), -1, np.int64)
    for sieve in order:
        nearest = np.where(sieve, heads, -1).max(axis=1, initial=-1)
        found = np.where(found < 0, nearest, found)
    return found
