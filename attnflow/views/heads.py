"""The matrix of heads: layer by layer a cell for each head, with its importance or a picture of its attention."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from attnflow.records.stacks import Stacks
from attnflow.records.trace import Head
from attnflow.views.packed import packed
from attnflow.views.payloads import Matrix, MatrixHalf
from attnflow.views.rounding import rounded

THUMBNAIL = 20
"""Most pixels along a side of the picture of one head."""


@dataclass(frozen=True)
class MatrixSide:
    """One model's half of the matrix; empty lists where there is nothing to show."""

    side: Literal["a", "b", "difference"]
    name: str
    pruned: Iterable[Head]
    selected: Head | None
    note: str
    values: NDArray[np.float64]
    """`[L, H]` as shown: from 0 to 1, or from -1 to 1 if signed; NaN for heads that are still to come."""
    raw: NDArray[np.float64]
    """`[L, H]` as measured."""
    attention: NDArray[np.floating] | None = None
    """`[L, H, T, T]`, drawn instead of the values."""
    measured: str = ""
    """What the raw numbers of this half are, where it is not what those of the others are."""
    stacks: Stacks | None = None
    """Of an encoder-decoder, how its two stacks are one model."""


def head_matrix(sides: list[MatrixSide], *, title: str, note: str, measured: str, signed: bool = False) -> Matrix:
    """Describe the matrix.

    Args:
        sides: The models, and perhaps their difference.
        title: What the cells show.
        note: How to read it.
        measured: What the raw numbers are, for the tooltips.
        signed: Whether values below 0 have a colour of their own.
    """
    return {
        "title": title,
        "note": note,
        "measured": measured,
        "signed": signed,
        "sides": [_side(side) for side in sides],
    }


def _side(side: MatrixSide) -> MatrixHalf:
    layers, heads = side.values.shape
    described: MatrixHalf = {
        "side": side.side,
        "name": side.name,
        "note": side.note,
        "layers": layers,
        "heads": heads,
        "values": [[None if np.isnan(value) else value for value in row] for row in np.round(side.values, 3).tolist()],
        "raw": [[None if np.isnan(value) else rounded(value) for value in row] for row in side.raw.tolist()],
        "pruned": sorted(side.pruned),
        "selected": side.selected,
    }
    if side.stacks:
        described["encoder"] = side.stacks.n_encoder
    if side.measured:
        described["measured"] = side.measured
    if side.attention is not None:
        pictures = thumbnails(side.attention)
        size = pictures.shape[-1]
        image = pictures.transpose(0, 2, 1, 3).reshape(layers * size, heads * size)
        described["size"] = size
        described["pixels"] = packed(image)
    return described


def thumbnails(attention: NDArray[np.floating], most: int = THUMBNAIL) -> NDArray[np.uint8]:
    """A small picture of each head on one scale for all heads of all models: `[L, H, S, S]`.

    0 is attention that is no more than a uniform share of what a token can attend to, 255 all attention on one of
    several tokens. Where a text is longer than a picture, each pixel shows the strongest of the cells under it.

    Args:
        attention: `[L, H, T, T]`.
        most: Pixels along a side at most.
    """
    reachable = (attention > 0).any(axis=1, keepdims=True).sum(axis=-1, keepdims=True)  # by any head of the layer
    uniform = 1 / np.maximum(reachable, 1)
    above = np.divide(attention - uniform, 1 - uniform, out=np.zeros(attention.shape), where=reachable > 1).clip(0, 1)
    size = min(most, attention.shape[-1])
    starts = np.arange(size) * attention.shape[-1] // size
    small = np.maximum.reduceat(np.maximum.reduceat(above, starts, axis=2), starts, axis=3)
    return np.round(255 * small).astype(np.uint8)
