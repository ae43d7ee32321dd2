"""Attention entropy: whether a head looks at few tokens or at many, over one text or a whole corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnflow.errors import SelectionError
from attnflow.records.root import Root, as_root, tokens_of
from attnflow.records.trace import is_whole
from attnflow.stats.statistic import Statistic, read_only, running, standard_error
from attnflow.stats.text_maps import Lengths


@dataclass(frozen=True)
class EntropyResult:
    """Mean entropy of each head's attention, in nats: 0 if all goes to one token, `ln T` if it is spread evenly."""

    whole: NDArray[np.float64]
    """`[L, H]`: mean over the rows of a text, then over texts."""
    root: NDArray[np.float64]
    """`[L, H]`: of the root's row alone, or of several tokens that are read the mean; mean over texts."""
    whole_standard_error: NDArray[np.float64]
    """`[L, H]`: over texts; NaN for a single text."""
    root_standard_error: NDArray[np.float64]
    """`[L, H]`: the same for the root."""
    most: float
    """What `whole` is of a head that spreads its attention evenly over all it can reach; mean over texts, too."""
    n: int
    """Texts."""


@dataclass(eq=False)
class AttentionEntropy(Statistic):
    """Adds up the entropy of attention over texts, so that each text weighs the same.

    Reference:
        Clark et al., *What Does BERT Look At?*, section 3.3 and figure 4: `-sum p ln p` of each row, averaged.

    Example:
        >>> even = np.full((1, 1, 4, 4), 1 / 4)
        >>> float(AttentionEntropy().update(even).result().whole[0, 0].round(4))  # ln 4
        1.3863
    """

    version: ClassVar[int] = 2
    whole: NDArray[np.float64] = running()
    """`[L, H]`: the sum over texts of the mean entropy of a text's rows."""
    whole_squared: NDArray[np.float64] = running()
    """`[L, H]`: the sum of its squares."""
    root: NDArray[np.float64] = running()
    """`[L, H]`: the sum over texts of the entropy of the root's row."""
    root_squared: NDArray[np.float64] = running()
    """`[L, H]`: the sum of its squares."""
    most: NDArray[np.float64] = running()
    """`[]`: the sum over texts of the mean over rows of the logarithm of how many tokens some head attends to."""

    def update(self, attention: ArrayLike, root: Root | Sequence[Root] = 0, *, lengths: Lengths | None = None) -> Self:
        """Add a text or a batch.

        Args:
            attention: `[L, H, T, T]` as `[query, key]`, rows sum to 1; or a batch `[N, L, H, T, T]`.
            root: The token that the task reads, or several as `Trace.root` has them; of a batch one for all texts, or
                `[N]`, one for each.
            lengths: `[N]`: the tokens of each text of a batch that is padded on the right.

        Raises:
            SelectionError: If a row does not sum to 1, there is no such token, or layers or heads differ from those of
                earlier texts.
        """
        texts = self._texts(attention, lengths, rows_sum_to_1=True)
        batch = np.ndim(attention) == 5
        for text, position in zip(texts, _roots(root, texts, batch=batch), strict=True):
            rows = row_entropy(text)  # [L, H, T]
            whole, at_root = rows.mean(-1), rows[..., list(tokens_of(position))].mean(-1)
            most = np.log((text > 0).any((0, 1)).sum(-1)).mean()
            squares = {"whole_squared": whole**2, "root_squared": at_root**2}
            self._add_text(text, whole=whole, root=at_root, most=most, **squares)
        return self

    def result(self) -> EntropyResult:
        """Means over all texts so far.

        Raises:
            SelectionError: If nothing was added.
        """
        self._check_any()
        return EntropyResult(
            whole=read_only(self.whole / self.n),
            root=read_only(self.root / self.n),
            whole_standard_error=read_only(standard_error(self.n, self.whole, self.whole_squared)),
            root_standard_error=read_only(standard_error(self.n, self.root, self.root_squared)),
            most=float(self.most) / self.n,
            n=self.n,
        )


def row_entropy(shares: NDArray[np.floating]) -> NDArray[np.float64]:
    """`-sum p ln p` along the last axis, in nats; a share of 0 adds nothing."""
    shares = shares.astype(np.result_type(shares, np.float32), copy=False)
    logarithm = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return -np.einsum("...k,...k->...", shares, logarithm, dtype=np.float64)


def _roots(root: Root | Sequence[Root], texts: list[NDArray[np.floating]], *, batch: bool) -> list[Root]:
    """The root of each text."""
    sizes = [text.shape[-1] for text in texts]
    given = cast("list[Root]", list(root) if batch and isinstance(root, Sequence | np.ndarray) else [root] * len(texts))
    several = [tokens_of(one) for one in given]
    fits = len(given) == len(sizes) and all(
        len(tokens) > 0 and all(is_whole(token) and 0 <= token < size for token in tokens)
        for tokens, size in zip(several, sizes, strict=True)
    )
    if not fits:
        raise SelectionError(
            f"root is {str(root)[:100]} for texts of {str(sizes)[:100]} tokens; give the position of a token, from 0, "
            "or a tuple of those that are read together; of a batch one for all texts or one for each."
        )
    return [as_root(tokens) for tokens in several]
