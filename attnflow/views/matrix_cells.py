"""The matrix of heads, as the page is told it."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from attnflow.records.trace import Head


class MatrixHalf(TypedDict):
    """A cell for each head of one model, or of the difference."""

    side: Literal["a", "b", "difference"]
    name: str
    note: str
    layers: int
    heads: int
    values: list[list[float | None]]
    """`[L, H]` as shown: 0 to 1, or -1 to 1 if signed; null for heads that are still to come."""
    raw: list[list[float | None]]
    """`[L, H]` as measured."""
    pruned: list[Head]
    selected: Head | None
    encoder: NotRequired[int]
    """How many of its layers, the first, are an encoder's, which have the first half of the heads alone."""
    measured: NotRequired[str]
    """What `raw` is, where it is not what the matrix says."""
    size: NotRequired[int]
    """Pixels along a side of one picture."""
    pixels: NotRequired[str]
    """The pictures of all heads as one image: `[L * size, H * size]` bytes as base64 text."""


class Matrix(TypedDict):
    """The matrix of heads."""

    title: str
    note: str
    measured: str
    """What `raw` is."""
    signed: bool
    sides: list[MatrixHalf]
