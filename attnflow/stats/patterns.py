"""The pattern of a head's map: vertical, diagonal, both, block or heterogeneous.

The rule, from three shares of each row, averaged over the rows of all pairs:

* `diagonal`: what lies on the token itself or a direct neighbour;
* `vertical`: what lies on the three columns that get most in the whole map;
* `block`: what lies in the token's own sentence, for pairs of sentences; a `[SEP]` belongs to the sentence it ends.

Each share is corrected for chance as Cohen's kappa is: 0 is what evenly spread values give, 1 is all of it. A head is
*vertical and diagonal* if each of the two is at least 0.25 and together they are at least 0.6; *diagonal* or *vertical*
if that share is at least 0.5; *block* if that share is at least 0.5; otherwise *heterogeneous*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import SelectionError
from attnflow.stats.agreement import check_same_heads

Pattern = Literal["vertical", "diagonal", "vertical and diagonal", "block", "heterogeneous"]
PATTERNS: tuple[Pattern, ...] = get_args(Pattern)

_COLUMNS = 3
_ALONE, _EACH, _TOGETHER = 0.5, 0.25, 0.6


@dataclass(frozen=True)
class PatternsResult:
    """Shares of every head's maps, corrected for chance, and the patterns that follow."""

    diagonal: NDArray[np.float64]
    """`[L, H]`, from below 0 to 1."""
    vertical: NDArray[np.float64]
    """`[L, H]`"""
    block: NDArray[np.float64]
    """`[L, H]`; 0 if no pair had two sentences."""

    @property
    def pattern(self) -> list[list[Pattern]]:
        """For each layer and head its pattern."""
        return [[_pattern(*shares) for shares in zip(*layer, strict=True)] for layer in zip(*self._shares, strict=True)]

    @property
    def _shares(self) -> tuple[NDArray[np.float64], ...]:
        return self.diagonal, self.vertical, self.block


class Patterns:
    """Adds up the shares over pairs; `update` each, `merge` accumulators of parts, and take the `result`.

    Reference:
        The five types are those of Kovaleva et al., *Revealing the Dark Secrets of BERT*, section 4.1, who told them
        apart by annotated examples; the rule is ours.
    """

    def __init__(self) -> None:
        self._sums: NDArray[np.float64] | None = None  # [3, L, H]
        self._count = np.zeros(3, np.int64)

    def update(self, values: NDArray[np.floating], sentence: Sequence[int] | NDArray[np.integer]) -> Patterns:
        """Add the attention or the contributions of a pair.

        Args:
            values: `[L, H, T, T]` as `[query, source]`, rows sum to 1.
            sentence: `[T]` as `Tokens.sentence`: 0 or 1, -1 for special tokens.

        Raises:
            SelectionError: If layers or heads differ from those of earlier pairs.
        """
        n_layers, n_heads, size, _ = values.shape
        own = _own_sentence(np.asarray(sentence))
        sums, count = np.zeros((3, n_layers, n_heads)), np.zeros(3, np.int64)
        if size > 2 * _COLUMNS:  # in shorter texts everything is near everything
            position = np.arange(size)
            near = abs(position[:, None] - position) <= 1
            sums[0] = _above_chance((values * near).sum(-1).mean(-1), near.mean())
            strongest = np.sort(values.mean(-2), axis=-1)[..., -_COLUMNS:].sum(-1)
            sums[1] = _above_chance(strongest, _COLUMNS / size)
            count[:2] = 1
            if (own == 1).any():
                same = own[:, None] == own
                sums[2] = _above_chance((values * same).sum(-1).mean(-1), same.mean())
                count[2] = 1
        return self._add(sums, count)

    def merge(self, other: Patterns) -> Patterns:
        """Add what another accumulator has seen."""
        return self if other._sums is None else self._add(other._sums, other._count)

    def result(self) -> PatternsResult:
        """Means of the shares over all pairs so far.

        Raises:
            SelectionError: If nothing was added.
        """
        if self._sums is None:
            raise SelectionError("No pair was added, so there is no pattern; add one with update first.")
        return PatternsResult(*(self._sums / np.maximum(self._count, 1)[:, None, None]))

    def _add(self, sums: NDArray[np.float64], count: NDArray[np.int64]) -> Patterns:
        if self._sums is None:
            self._sums = np.zeros_like(sums)
        check_same_heads(self._sums.shape[1:], sums.shape[1:])
        self._sums += sums
        self._count += count
        return self


def _own_sentence(sentence: NDArray[np.integer]) -> NDArray[np.integer]:
    """The sentence of every token, where a special token takes that of the token before it."""
    own = sentence.copy()
    for position, part in enumerate(sentence):
        if part < 0:
            own[position] = own[position - 1] if position else 0
    return own


def _above_chance(share: NDArray[np.float64], chance: float) -> NDArray[np.float64]:
    return (share - chance) / (1 - chance)


def _pattern(diagonal: float, vertical: float, block: float) -> Pattern:
    if min(diagonal, vertical) >= _EACH and diagonal + vertical >= _TOGETHER:
        return "vertical and diagonal"
    for share, pattern in ((diagonal, "diagonal"), (vertical, "vertical"), (block, "block")):
        if share >= _ALONE:
            return pattern
    return "heterogeneous"
