"""What statistics are fed with: maps of single texts, cut out of batches and checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnflow.errors import SelectionError

Lengths = Sequence[int] | NDArray[np.integer]
"""`[N]`: how many tokens each text of a batch has."""


def text_maps(
    values: ArrayLike, lengths: Lengths | None, what: str, *, rows_sum_to_1: bool = False
) -> list[NDArray[Any]]:
    """Cut arrays into the maps `[L, H, T, T]` of single texts: views without padding.

    Args:
        values: `[L, H, T, T]` of one text, or `[N, L, H, T, T]` of a batch that is padded on the right.
        lengths: `[N]`, of a batch; all of one length if None.
        what: Their name in a message.
        rows_sum_to_1: Whether that, within what half precision can hold, is to be checked, too.

    Raises:
        SelectionError: If axes, lengths or numbers are not so, or a text has no token.
    """
    array = np.asarray(values)
    if array.ndim not in (4, 5) or array.shape[-1] != array.shape[-2] or 0 in array.shape[-4:]:
        raise SelectionError(
            f"{what} has the shape {list(array.shape)}; give [layer, head, token, token] of a text with at least one "
            "token, or a batch of such, padded on the right, with their lengths."
        )
    if array.ndim == 4 and lengths is not None:
        raise SelectionError(f"{what} is that of one text and has lengths; give lengths for a batch only.")
    batch = array[None] if array.ndim == 4 else array
    sizes = np.full(len(batch), array.shape[-1]) if lengths is None else np.asarray(lengths)
    whole = np.issubdtype(sizes.dtype, np.integer) or not sizes.size
    if sizes.shape != (len(batch),) or not whole or not ((sizes > 0) & (sizes <= array.shape[-1])).all():
        raise SelectionError(
            f"lengths is {str(sizes.tolist())[:100]} for a batch of {len(batch)} texts of up to {array.shape[-1]} "
            "tokens; give a whole number of tokens, at least 1, for each text."
        )
    maps = [text[:, :, :size, :size] for text, size in zip(batch, sizes.tolist(), strict=True)]
    for one in maps:
        sums = one.sum(-1, dtype=np.float64)
        if not np.isfinite(sums).all():
            raise SelectionError(f"{what} holds numbers that are missing or infinite; leave that text out.")
        if rows_sum_to_1 and (one.min() < 0 or abs(sums - 1).max() > 0.01):
            raise SelectionError(
                f"A row of {what.lower()} has a negative share or sums to {sums.flat[abs(sums - 1).argmax()]:.4g}; "
                "give rows that sum to 1, and lengths where texts are padded."
            )
    return maps
