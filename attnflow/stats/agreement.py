"""How well attention agrees with contribution: the correlation of the two, head by head, over one pair or many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import SelectionError
from attnflow.stats.correlation import pearson, spearman
from attnflow.stats.statistic import Statistic, read_only, running, standard_error
from attnflow.stats.text_maps import Lengths

_FEWEST = 3
"""Sources of a token between which a correlation says anything: two points always lie on a line."""


@dataclass(frozen=True)
class AgreementResult:
    """Mean correlation of attention and contribution for each head."""

    pearson: NDArray[np.float64]
    """`[L, H]`, from -1 to 1; NaN for a head that has no defined correlation at any token."""
    spearman: NDArray[np.float64]
    """`[L, H]`: the same of the ranks."""
    n_tokens: NDArray[np.int64]
    """`[L, H]`: tokens that the means are taken over."""
    pearson_standard_error: NDArray[np.float64]
    """`[L, H]`: over texts; NaN for a head that fewer than two have a correlation for."""
    spearman_standard_error: NDArray[np.float64]
    """`[L, H]`: the same of the ranks."""
    n: int
    """Texts."""


@dataclass(eq=False)
class Agreement(Statistic):
    """Adds up correlations over pairs; `update` each, `merge` accumulators of parts, and take the `result`.

    Each token of a pair gives one correlation between the attention it pays and what its head's output owes, over the
    sources that it can reach at all: in a causal model those up to itself. Tokens with fewer than three such sources
    and constant rows have no correlation and are left out.

    Reference:
        Pascual, Brunner and Wattenhofer, *Telling BERT's Full Story*, sections 6 and 9: the mean over tokens. The
        paper's model is not causal; leaving out what cannot be reached is ours, since shared zeros would feign
        agreement.
    """

    texts: NDArray[np.int64] = running(np.int64)
    """`[L, H]`: texts with a token that has a correlation."""
    tokens: NDArray[np.int64] = running(np.int64)
    """`[L, H]`: tokens that have a correlation."""
    tokens_squared: NDArray[np.int64] = running(np.int64)
    """`[L, H]`: the sum over texts of the square of their number in a text."""
    pearson: NDArray[np.float64] = running()
    """`[L, H]`: the sum of their correlations."""
    pearson_squared: NDArray[np.float64] = running()
    """`[L, H]`: the sum over texts of the square of what a text adds to `pearson`."""
    pearson_by_tokens: NDArray[np.float64] = running()
    """`[L, H]`: the sum over texts of what a text adds to `pearson`, times the number of its tokens."""
    spearman: NDArray[np.float64] = running()
    """`[L, H]`: the sum of the correlations of ranks."""
    spearman_squared: NDArray[np.float64] = running()
    """`[L, H]`: as `pearson_squared`."""
    spearman_by_tokens: NDArray[np.float64] = running()
    """`[L, H]`: as `pearson_by_tokens`."""

    def update(
        self,
        attention: NDArray[np.floating],
        contribution: NDArray[np.floating],
        *,
        lengths: Lengths | None = None,
    ) -> Self:
        """Add a pair, or a batch of them.

        Args:
            attention: `[L, H, T, T]` as `[query, key]`; or a batch `[N, L, H, T, T]`.
            contribution: The same as `[query, source]`.
            lengths: `[N]`: the tokens of each text of a batch that is padded on the right.

        Raises:
            SelectionError: If the shapes differ, or the numbers of layers and heads from those of earlier pairs.
        """
        attention, contribution = np.asarray(attention), np.asarray(contribution)
        if attention.shape != contribution.shape:
            raise SelectionError(
                f"Attention is {attention.shape} and contribution {contribution.shape}; give both of one run."
            )
        paid = self._texts(attention, lengths)
        owed = self._texts(contribution, lengths, "Contribution")
        for one, other in zip(paid, owed, strict=True):
            by_value, by_rank, tokens = _correlations(one, other)
            self._add_text(
                one,
                texts=tokens > 0,
                tokens=tokens,
                tokens_squared=tokens**2,
                pearson=by_value,
                pearson_squared=by_value**2,
                pearson_by_tokens=by_value * tokens,
                spearman=by_rank,
                spearman_squared=by_rank**2,
                spearman_by_tokens=by_rank * tokens,
            )
        return self

    def result(self) -> AgreementResult:
        """Means over all tokens so far.

        Raises:
            SelectionError: If nothing was added.
        """
        self._check_any()
        by_value = standard_error(
            self.texts, self.pearson, self.pearson_squared, self.tokens, self.pearson_by_tokens, self.tokens_squared
        )
        by_rank = standard_error(
            self.texts, self.spearman, self.spearman_squared, self.tokens, self.spearman_by_tokens, self.tokens_squared
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            means = self.pearson / self.tokens, self.spearman / self.tokens
        return AgreementResult(*map(read_only, (*means, self.tokens.copy(), by_value, by_rank)), n=self.n)


def _correlations(
    attention: NDArray[np.floating], contribution: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Sums over the tokens of a text, `[L, H]` each: Pearson, Spearman, and how many tokens have them."""
    heads = attention.shape[:2]
    sums, count = np.zeros((2, *heads)), np.zeros(heads, np.int64)
    reachable = np.asarray(((attention > 0) | (contribution > 0)).any((0, 1)))
    for query, sources in enumerate(reachable):
        if sources.sum() < _FEWEST:
            continue
        pair = np.stack([part[:, :, query, sources].astype(np.float64) for part in (attention, contribution)])
        both = np.stack([pearson(*pair), spearman(*pair)])
        defined = ~np.isnan(both[0])
        sums += np.where(defined, both, 0)
        count += defined
    return sums[0], sums[1], count
