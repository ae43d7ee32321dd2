"""How much the loss would move with each attention weight, by the kind of token that the weight is on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnflow.errors import SelectionError
from attnflow.records.trace import Tokens
from attnflow.stats.attention_kinds import special_kinds
from attnflow.stats.statistic import Statistic, read_only, running, standard_error
from attnflow.stats.surface import tokens_of_texts
from attnflow.stats.text_maps import Lengths

GRADIENT_KINDS = ("separator", "punctuation", "else")
"""Special tokens but a first one, full stops and commas, and the rest."""


@dataclass(frozen=True)
class AttentionGradientResult:
    """Mean size of the gradient of the loss with respect to an attention weight."""

    mean: NDArray[np.float64]
    """`[L, H, kind]`, in units of the loss: mean over the weights on a kind in a text, then over texts."""
    standard_error: NDArray[np.float64]
    """`[L, H, kind]`: over texts; NaN where fewer than two count."""
    layer: NDArray[np.float64]
    """`[L, kind]`: mean over heads."""
    layer_standard_error: NDArray[np.float64]
    """`[L, kind]`: over texts."""
    kinds: tuple[str, ...]
    """Of `GRADIENT_KINDS`, those that some text has."""
    count: NDArray[np.int64]
    """`[kind]`: texts that have it, which alone count."""
    n: int
    """Texts."""


@dataclass(eq=False)
class AttentionGradient(Statistic):
    """Adds up `|d loss / d attention|` by kind of token, so that each text weighs the same.

    Weights that do not exist, such as on what follows in a causal model, are left out: no head has any there.

    Reference:
        Clark et al., *What Does BERT Look At?*, section 3.2 and figure 3.
    """

    total: NDArray[np.float64] = running()
    """`[L, H, 3]`: the sum over texts of the mean over the weights on a kind, in the order of `GRADIENT_KINDS`."""
    squared: NDArray[np.float64] = running()
    """`[L, H, 3]`: the sum of its squares."""
    layer_squared: NDArray[np.float64] = running()
    """`[L, 3]`: the sum of the squares of its mean over heads."""
    count: NDArray[np.int64] = running(np.int64)
    """`[3]`: texts that have the kind."""

    def update(
        self,
        gradient: ArrayLike,
        attention: ArrayLike,
        tokens: Tokens | Sequence[Tokens],
        *,
        lengths: Lengths | None = None,
    ) -> Self:
        """Add a text or a batch.

        Args:
            gradient: `[L, H, T, T]` as `[query, key]`, of the loss with respect to `attention`; its signs do not count.
                Of a batch `[N, L, H, T, T]`.
            attention: Of the same shape; tells which weights there are.
            tokens: Those of the text; of a batch `[N]`, those of each.
            lengths: `[N]`: the tokens of each text of a batch that is padded on the right.

        Raises:
            SelectionError: If shapes or tokens differ, or layers or heads from those of earlier texts.
        """
        if np.shape(gradient) != np.shape(attention):
            raise SelectionError(
                f"The gradient is {np.shape(gradient)} and attention {np.shape(attention)}; give both of one run."
            )
        slopes = self._texts(gradient, lengths, "The gradient")
        texts = self._texts(attention, lengths)
        for slope, text, own in zip(slopes, texts, tokens_of_texts(tokens, texts), strict=True):
            kinds = special_kinds(own)[1:]
            of_kind = np.stack([*kinds, ~kinds.any(0)])  # [3, T]
            there = np.asarray((text > 0).any((0, 1)))  # [T, T]
            weights = there.sum(0) @ of_kind.T  # [3]
            sums = np.where(there, abs(slope), 0).sum(-2, dtype=np.float64) @ of_kind.T
            mean = sums / np.maximum(weights, 1)
            self._add_text(
                text, total=mean, squared=mean**2, layer_squared=mean.mean(1) ** 2, count=(weights > 0).astype(np.int64)
            )
        return self

    def result(self) -> AttentionGradientResult:
        """Means over all texts so far.

        Raises:
            SelectionError: If nothing was added.
        """
        self._check_any()
        kept = np.flatnonzero(self.count)
        count, total, squared = self.count[kept], self.total[..., kept], self.squared[..., kept]
        by_layer = total.mean(1)
        arrays = (
            total / count,
            standard_error(count, total, squared),
            by_layer / count,
            standard_error(count, by_layer, self.layer_squared[:, kept]),
        )
        kinds = tuple(GRADIENT_KINDS[kind] for kind in kept.tolist())
        return AttentionGradientResult(*map(read_only, arrays), kinds=kinds, count=read_only(count), n=self.n)
