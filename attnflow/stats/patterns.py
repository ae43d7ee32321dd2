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
from typing import Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import SelectionError
from attnflow.stats.statistic import Statistic, read_only, running, standard_error
from attnflow.stats.text_maps import Lengths

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
    diagonal_standard_error: NDArray[np.float64]
    """`[L, H]`: over texts; NaN where fewer than two count."""
    vertical_standard_error: NDArray[np.float64]
    """`[L, H]`"""
    block_standard_error: NDArray[np.float64]
    """`[L, H]`"""
    n: int
    """Texts."""
    n_long: int
    """Texts of more than six tokens, which alone count: in shorter ones everything is near everything."""
    n_pairs: int
    """Texts of two sentences among them, which alone count for `block`."""

    @property
    def pattern(self) -> list[list[Pattern]]:
        """For each layer and head its pattern."""
        return [[_pattern(*shares) for shares in zip(*layer, strict=True)] for layer in zip(*self._shares, strict=True)]

    @property
    def _shares(self) -> tuple[NDArray[np.float64], ...]:
        return self.diagonal, self.vertical, self.block


@dataclass(eq=False)
class Patterns(Statistic):
    """Adds up the shares over pairs; `update` each, `merge` accumulators of parts, and take the `result`.

    Reference:
        The five types are those of Kovaleva et al., *Revealing the Dark Secrets of BERT*, section 4.1, who told them
        apart by annotated examples; the rule is ours.
    """

    n_long: NDArray[np.int64] = running(np.int64)
    """`[]`: texts of more than six tokens."""
    n_pairs: NDArray[np.int64] = running(np.int64)
    """`[]`: those of them that have two sentences."""
    diagonal: NDArray[np.float64] = running()
    """`[L, H]`: the sum over long texts of a text's share, corrected for chance."""
    diagonal_squared: NDArray[np.float64] = running()
    """`[L, H]`: the sum of its squares."""
    vertical: NDArray[np.float64] = running()
    """`[L, H]`: as `diagonal`."""
    vertical_squared: NDArray[np.float64] = running()
    """`[L, H]`"""
    block: NDArray[np.float64] = running()
    """`[L, H]`: the sum over long texts of two sentences."""
    block_squared: NDArray[np.float64] = running()
    """`[L, H]`"""

    def update(
        self,
        values: NDArray[np.floating],
        sentence: Sequence[int] | NDArray[np.integer],
        *,
        lengths: Lengths | None = None,
    ) -> Self:
        """Add the attention or the contributions of a pair, or of a batch.

        Args:
            values: `[L, H, T, T]` as `[query, source]`, rows sum to 1; or a batch `[N, L, H, T, T]`.
            sentence: `[T]` as `Tokens.sentence`: 0 or 1, -1 for special tokens; `[N, T]` of a batch.
            lengths: `[N]`: the tokens of each text of a batch that is padded on the right.

        Raises:
            SelectionError: If `sentence` has other tokens, or layers or heads differ from those of earlier pairs.
        """
        texts = self._texts(values, lengths, "The map")
        sentences = np.asarray(sentence)
        expected = np.shape(values)[:-4] + np.shape(values)[-1:]
        if sentences.shape != expected:
            raise SelectionError(
                f"sentence has the shape {list(sentences.shape)} for a map of {list(np.shape(values))}; give a number "
                "for each token."
            )
        for text, row in zip(texts, sentences.reshape(len(texts), expected[-1]), strict=True):
            shares = _shares(text, row[: text.shape[-1]])
            nothing = np.zeros(text.shape[:2])
            diagonal, vertical, block = (nothing if share is None else share for share in shares)
            self._add_text(
                text,
                n_long=shares[0] is not None,
                n_pairs=shares[2] is not None,
                diagonal=diagonal,
                diagonal_squared=diagonal**2,
                vertical=vertical,
                vertical_squared=vertical**2,
                block=block,
                block_squared=block**2,
            )
        return self

    def result(self) -> PatternsResult:
        """Means of the shares over all pairs so far.

        Raises:
            SelectionError: If nothing was added.
        """
        self._check_any()
        sums = (
            (self.n_long, self.diagonal, self.diagonal_squared),
            (self.n_long, self.vertical, self.vertical_squared),
            (self.n_pairs, self.block, self.block_squared),
        )
        means = [total / max(int(count), 1) for count, total, _ in sums]
        errors = [standard_error(*one) for one in sums]
        return PatternsResult(
            *map(read_only, (*means, *errors)), n=self.n, n_long=int(self.n_long), n_pairs=int(self.n_pairs)
        )


def _shares(values: NDArray[np.floating], sentence: NDArray[np.integer]) -> tuple[NDArray[np.float64] | None, ...]:
    """Diagonal, vertical and block share `[L, H]` of one text; None where it is too short or of one sentence."""
    size: int = values.shape[-1]
    if size <= 2 * _COLUMNS:  # in shorter texts everything is near everything
        return None, None, None
    position = np.arange(size)
    near = abs(position[:, None] - position) <= 1
    diagonal = _above_chance((values * near).sum(-1).mean(-1), near.mean())
    strongest = np.sort(values.mean(-2), axis=-1)[..., -_COLUMNS:].sum(-1)
    vertical = _above_chance(strongest, _COLUMNS / size)
    own = _own_sentence(sentence)
    if not (own == 1).any():
        return diagonal, vertical, None
    same = own[:, None] == own
    return diagonal, vertical, _above_chance((values * same).sum(-1).mean(-1), same.mean())


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
    shares: tuple[tuple[float, Pattern], ...] = ((diagonal, "diagonal"), (vertical, "vertical"), (block, "block"))
    for share, pattern in shares:
        if share >= _ALONE:
            return pattern
    return "heterogeneous"
