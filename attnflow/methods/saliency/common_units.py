"""Explanations of two models of one text, on the units that both share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from attnflow.methods.saliency.results import Saliency
from attnflow.records.trace import Trace
from attnflow.stats.alignment import pair_traces


@dataclass(frozen=True)
class Common:
    """Explanations of two models on the `U` units that both share."""

    text: tuple[str, ...]
    """`[U]`"""
    sentence: NDArray[np.int8]
    """`[U]`: 0, 1 or `SPECIAL`; `AGAIN` more where a decoder reads it again."""
    unit: str
    """`piece` or `word`."""
    in_a: NDArray[np.int32]
    """`[U]`: the unit's place among the tokens (or words) of A, -1 where A has none."""
    in_b: NDArray[np.int32]
    """`[U]`: the same for B."""
    a: NDArray[np.float64]
    """`[M, U]`: values of A's methods, summed over the pieces of a word; NaN where A has no such unit."""
    b: NDArray[np.float64]
    """`[N, U]`: the same for B."""
    lines: tuple[int, ...] = ()
    """As of `Pairing`."""

    @property
    def difference(self) -> NDArray[np.float64]:
        """`[M, U]`: share of B minus share of A, where a share is of the sum of all magnitudes of one explanation."""
        return shares(self.b) - shares(self.a)


def shares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """`[M, U]`: values over the sum of their magnitudes, so that models with scores of any size compare."""
    sums = np.nansum(np.abs(values), axis=-1, keepdims=True)
    return np.divide(values, sums, out=np.zeros_like(values), where=(sums > 0) & np.isfinite(values)) + 0 * values


def on_common_units(a: Sequence[Saliency], b: Sequence[Saliency], unit: str = "piece") -> Common:
    """Bring explanations of two models of one sentence pair to common units; see `pair_traces`.

    Args:
        a: Explanations by model A, at least one.
        b: Explanations by model B of the same texts.
        unit: `piece` or `word`; different tokenizers are always compared word by word.
    """
    pairing = pair_traces(_as_trace(a), _as_trace(b), unit)
    values = []
    for trace, place in ((pairing.a, pairing.in_a), (pairing.b, pairing.in_b)):
        own = trace.attention[0, :, 0].astype(np.float64)  # [M, units of this model]
        values.append(np.where(place >= 0, own[:, np.maximum(place, 0)], np.nan))
    return Common(
        pairing.text, pairing.sentence, pairing.unit, pairing.in_a, pairing.in_b, *values, lines=pairing.lines
    )


def _as_trace(found: Sequence[Saliency]) -> Trace:
    """Values as if a head paid them as attention, because what is paid to the pieces of a word adds up likewise."""
    size = len(found[0].tokens)
    paid = np.stack([np.broadcast_to(one.values, (size, size)) for one in found])[None]
    nothing = np.zeros((2, size, 1), np.float32)
    attention = cast("NDArray[np.float32]", paid)  # in double precision, as sums of relevance are compared
    return Trace(found[0].tokens, attention, nothing, np.zeros((1, size, len(found), 1), np.float32), root=0)
