"""Compares, on the words that the tokenizers of two models share, what each model attends to in one text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnflow.records.survey import Survey

Pairs = tuple[NDArray[np.intp], NDArray[np.intp], int]
"""For each word of A and each of B the number of the common word it belongs to, and how many of these there are."""


def common_words(a: Survey, b: Survey, row: int) -> Pairs:
    """Join the words of a text until both tokenizers begin each at the same character.

    Words of two tokenizers differ only where a piece of one of them crosses a word, and joins it to the next.
    """
    places = [_beginnings(one, row) for one in (a, b)]
    first = {(sentence, 0) for one in places for sentence, _ in one}  # also of a sentence of which one has no word
    begin = np.array(sorted(first | set(places[0]) & set(places[1])), np.int64).reshape(-1, 2)
    keys = begin[:, 0] << 32 | begin[:, 1]
    of_a, of_b = (
        np.searchsorted(keys, [sentence << 32 | start for sentence, start in one], side="right") - 1 for one in places
    )
    return of_a, of_b, len(keys)


def influence_distance(a: Survey, b: Survey, row: int, pairs: Pairs) -> float:
    """Total variation of the influence of all layers on each word, as shares; NaN where a model attends to no word."""
    shares: list[NDArray[np.float64]] = []
    for survey, place in ((a, pairs[0]), (b, pairs[1])):
        profile = np.bincount(place, survey.influence(row), pairs[2])
        total = profile.sum()
        if not total:
            return float("nan")
        shares.append(profile / total)
    return float(abs(shares[0] - shares[1]).sum() / 2)


def ring_distance(a: Survey, b: Survey, row: int, pairs: Pairs) -> float:
    """1 - the share of the (ring, word) of either model that both have; NaN where neither has one.

    Rings are counted from the root, so that models of different depth meet there.
    """
    depth = max(one.settings.n_layers for one in (a, b))
    held: list[NDArray[np.bool_]] = []
    for survey, place in ((a, pairs[0]), (b, pairs[1])):
        rings = np.zeros((depth, pairs[2]), bool)
        ring, word = np.nonzero(survey.words.attended[::-1, survey.words.of(row)])
        rings[ring, place[word]] = True
        held.append(rings)
    either = (held[0] | held[1]).sum()
    return float(1 - (held[0] & held[1]).sum() / either) if either else float("nan")


def _beginnings(survey: Survey, row: int) -> list[tuple[int, int]]:
    """Sentence and first character of each word; the first of a sentence begins it, whatever was dropped before."""
    where = survey.words.of(row)
    found: list[tuple[int, int]] = []
    for sentence, start in zip(survey.words.sentence[where].tolist(), survey.words.start[where].tolist(), strict=True):
        found.append((sentence, 0 if not found or found[-1][0] != sentence else start))
    return found
