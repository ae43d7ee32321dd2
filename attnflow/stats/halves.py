"""What is best of many, told honestly: chosen on one half of the texts and scored on the other."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from attnflow.stats.proportion import Proportion

HALVES = 2


def half_of(*told: object) -> int:
    """Which half a text belongs to: always the same, in whatever order or part it comes.

    Args:
        *told: What tells it from other texts, of lists, tuples, texts and whole numbers.
    """
    return zlib.crc32(repr(told).encode()) % HALVES


def scored(right: NDArray[np.int64], cases: NDArray[np.int64]) -> tuple[Proportion, Proportion]:
    """How good the best of many candidates is.

    Args:
        right: `[half, candidate]`: cases in which each is right.
        cases: `[half]`

    Returns:
        The best of all cases on all cases, which flatters it, and each half's best on the other half: of those the
        candidates may be two. If all cases are in one half, nothing was chosen without them, and that is of no cases.
    """
    held_out = sum(int(right[1 - half, right[half].argmax()]) for half in range(HALVES))
    n = int(cases.sum())
    of_all = Proportion(int(right.sum(axis=0).max()), n)
    return of_all, Proportion(held_out, n) if cases.all() else Proportion(0, 0)
