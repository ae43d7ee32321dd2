"""How well attention agrees with contribution: the correlation of the two, head by head, over one pair or many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import SelectionError
from attnflow.stats.correlation import pearson, spearman

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


class Agreement:
    """Adds up correlations over pairs; `update` each, `merge` accumulators of parts, and take the `result`.

    Each token of a pair gives one correlation between the attention it pays and what its head's output owes, over the
    sources that it can reach at all: in a causal model those up to itself. Tokens with fewer than three such sources
    and constant rows have no correlation and are left out.

    Reference:
        Pascual, Brunner and Wattenhofer, *Telling BERT's Full Story*, sections 6 and 9: the mean over tokens. The
        paper's model is not causal; leaving out what cannot be reached is ours, since shared zeros would feign
        agreement.
    """

    def __init__(self) -> None:
        self._sums: NDArray[np.float64] | None = None  # [2, L, H]: Pearson, Spearman
        self._count: NDArray[np.int64] | None = None  # [L, H]

    def update(self, attention: NDArray[np.floating], contribution: NDArray[np.floating]) -> Agreement:
        """Add a pair.

        Args:
            attention: `[L, H, T, T]` as `[query, key]`.
            contribution: `[L, H, T, T]` as `[query, source]`.

        Raises:
            SelectionError: If the shapes differ, or the numbers of layers and heads from those of earlier pairs.
        """
        if attention.shape != contribution.shape:
            raise SelectionError(
                f"Attention is {attention.shape} and contribution {contribution.shape}; give both of one run."
            )
        n_layers, n_heads, size, _ = attention.shape
        sums, count = np.zeros((2, n_layers, n_heads)), np.zeros((n_layers, n_heads), np.int64)
        reachable = ((attention > 0) | (contribution > 0)).any((0, 1))
        for query in range(size):
            sources = reachable[query]
            if sources.sum() < _FEWEST:
                continue
            pair = np.stack([part[:, :, query, sources].astype(np.float64) for part in (attention, contribution)])
            both = np.stack([pearson(*pair), spearman(*pair)])
            defined = ~np.isnan(both[0])
            sums += np.where(defined, both, 0)
            count += defined
        return self._add(sums, count)

    def merge(self, other: Agreement) -> Agreement:
        """Add what another accumulator has seen."""
        return self if other._sums is None else self._add(other._sums, other._count)

    def result(self) -> AgreementResult:
        """Means over all tokens so far.

        Raises:
            SelectionError: If nothing was added.
        """
        if self._sums is None:
            raise SelectionError("No pair was added, so there is no correlation; add one with update first.")
        with np.errstate(invalid="ignore", divide="ignore"):
            by_value, by_rank = self._sums / self._count
        return AgreementResult(by_value, by_rank, self._count.copy())

    def _add(self, sums: NDArray[np.float64], count: NDArray[np.int64]) -> Agreement:
        if self._sums is None:
            self._sums, self._count = np.zeros_like(sums), np.zeros_like(count)
        check_same_heads(self._sums.shape[1:], sums.shape[1:])
        self._sums += sums
        self._count += count
        return self


def check_same_heads(before: tuple[int, ...], now: tuple[int, ...]) -> None:
    """Refuse to add up models of different sizes.

    Raises:
        SelectionError: If layers or heads differ.
    """
    if before != now:
        raise SelectionError(
            f"A model of {now[0]} layers x {now[1]} heads cannot be added to one of {before[0]} x {before[1]}; add up "
            "pairs of one model."
        )
