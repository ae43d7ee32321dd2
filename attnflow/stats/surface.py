"""Surface statistics: what kinds of token each head attends to, over one text or a whole corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnflow.errors import SelectionError
from attnflow.records.trace import Tokens
from attnflow.stats.attention_kinds import KINDS, attention_sums, shares_of_sums, special_kinds
from attnflow.stats.statistic import Statistic, read_only, running, standard_error
from attnflow.stats.text_maps import Lengths

AMONG_SEPARATORS = "separator_to_separator"
"""What a separator pays to separators, itself among them; only texts with a separator count."""
SURFACE_KINDS = (*KINDS, AMONG_SEPARATORS)


@dataclass(frozen=True)
class SurfaceResult:
    """Mean attention of each head by kind of token."""

    mean: NDArray[np.float64]
    """`[L, H, kind]`, from 0 to 1: mean over the tokens of a text that attend, then over texts."""
    standard_error: NDArray[np.float64]
    """`[L, H, kind]`: over texts; NaN where fewer than two count."""
    kinds: tuple[str, ...]
    """Of `SURFACE_KINDS`, those that the texts of this model have. Kinds may overlap, as the token before may be the
    first of all; `else` is what no other counts."""
    n: int
    """Texts."""

    def of(self, kind: str) -> NDArray[np.float64] | None:
        """`[L, H]`: the mean of a kind; None if no text has it."""
        return self.mean[..., self.kinds.index(kind)] if kind in self.kinds else None


@dataclass(eq=False)
class SurfaceStatistics(Statistic):
    """Adds up shares of attention by kind of token, so that each text weighs the same.

    Reference:
        Clark et al., *What Does BERT Look At?*, sections 3.1 and 3.2 and figure 2; the means as in their notebook.
    """

    total: NDArray[np.float64] = running()
    """`[L, H, 8]`: the sum over texts of the shares, in the order of `SURFACE_KINDS`."""
    squared: NDArray[np.float64] = running()
    """`[L, H, 8]`: the sum of their squares."""
    there: NDArray[np.int64] = running(np.int64)
    """`[8]`: texts that have a token of the kind within some head's reach."""

    def update(
        self, attention: ArrayLike, tokens: Tokens | Sequence[Tokens], *, lengths: Lengths | None = None
    ) -> Self:
        """Add a text or a batch.

        Args:
            attention: `[L, H, T, T]` as `[query, key]`, rows sum to 1; or a batch `[N, L, H, T, T]`.
            tokens: Those of the text; of a batch `[N]`, those of each.
            lengths: `[N]`: the tokens of each text of a batch that is padded on the right.

        Raises:
            SelectionError: If a row does not sum to 1, there are other tokens, or layers or heads differ from those of
                earlier texts.
        """
        texts = self._texts(attention, lengths, rows_sum_to_1=True)
        for text, own in zip(texts, tokens_of_texts(tokens, texts), strict=True):
            shares, there = _shares(text, own)
            self._add_text(text, total=shares, squared=shares**2, there=there)
        return self

    def result(self) -> SurfaceResult:
        """Means over all texts so far.

        Raises:
            SelectionError: If nothing was added.
        """
        self._check_any()
        count = np.array([*[self.n] * len(KINDS), self.there[-1]])
        kept = [number for number in range(len(SURFACE_KINDS)) if self.there[number]]
        mean = self.total[..., kept] / count[kept]
        error = standard_error(count[kept], self.total[..., kept], self.squared[..., kept])
        return SurfaceResult(read_only(mean), read_only(error), tuple(SURFACE_KINDS[i] for i in kept), self.n)


def tokens_of_texts(tokens: Tokens | Sequence[Tokens], texts: Sequence[NDArray[np.floating]]) -> list[Tokens]:
    """The tokens of each map `[L, H, T, T]`.

    Raises:
        SelectionError: If there are not as many for each as the map has.
    """
    given = [tokens] if isinstance(tokens, Tokens) else list(tokens)
    sizes = [text.shape[-1] for text in texts]
    if [len(one) for one in given] != sizes:
        raise SelectionError(
            f"There are tokens of {str([len(one) for one in given])[:100]} for texts of {str(sizes)[:100]}; give those "
            "of each text."
        )
    return given


def _shares(text: NDArray[np.floating], tokens: Tokens) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """`[L, H, 8]` shares of one text, and `[8]` whether it has the kind at all."""
    kinds = special_kinds(tokens)
    sums = cast("Sequence[NDArray[np.floating]]", attention_sums(text[None]))
    shares = shares_of_sums(sums, kinds[None], np.array([len(tokens)]))[0]
    separator = kinds[1]
    among = text[..., separator, :][..., separator].sum(-1, dtype=np.float64)
    among = among.mean(-1) if separator.any() else np.zeros(text.shape[:2])
    several = len(tokens) > 1
    looks_ahead = several and bool((sums[3] > 0).any())
    first, separators, marks = (bool(kind.any()) for kind in kinds)
    there = [True, several, looks_ahead, first, separators, marks, True, separators]
    return np.concatenate([shares, among[..., None]], axis=-1), np.array(there, np.int64)
