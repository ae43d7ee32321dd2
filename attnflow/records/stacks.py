"""An encoder-decoder as one model: its two stacks of layers, one after the other, on one axis of tokens.

The axis holds the source tokens, which the encoder reads, and after them the target tokens, which the decoder does. The
layers of the encoder come first, then those of the decoder. A layer of the decoder is one layer with twice as many
heads: those of its self-attention, over the target, and those of its cross-attention, over the source. Between the two
are only a sum and a layer norm, and as one layer both kinds of edges reach the next ring; as two, all that a target
token takes from the target would be cut off at the next cross-attention, for the residual stream is no edge.

Tokens that take no part in a layer are **carried**: they leave it as they entered. Their rows of attention are those of
the identity, so that rows sum to 1, and their edges to themselves are carried by no head and counted by nobody. The
same stands in the rows of the heads of cross-attention in the encoder's layers, which are **absent** there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

AttentionKind = Literal["encoder", "decoder", "cross"]
"""What a head does: self-attention of the encoder or of the decoder, or the decoder's attention to the source."""


@dataclass(frozen=True)
class Stacks:
    """How many layers and heads the two stacks of an encoder-decoder have."""

    n_encoder: int
    """Layers of the encoder; they come first."""
    n_decoder: int
    """Layers of the decoder."""
    n_heads: int
    """Heads of each attention: in the decoder so many of self-attention, then as many of cross-attention."""

    @property
    def n_layers(self) -> int:
        """`L`: of both stacks."""
        return self.n_encoder + self.n_decoder

    @property
    def n_all(self) -> int:
        """How many heads there are in all layers."""
        return (self.n_encoder + 2 * self.n_decoder) * self.n_heads

    def kind(self, layer: int, head: int) -> AttentionKind | None:
        """What a head does; None if it is absent."""
        if layer >= self.n_encoder:
            return "decoder" if head < self.n_heads else "cross"
        return "encoder" if head < self.n_heads else None

    def parts(self, layer: int, n_source: int, size: int) -> list[tuple[slice, slice, slice]]:
        """The attentions of a layer in the order in which they run: which heads, the tokens that attend, and to which.

        Args:
            layer: Of both stacks.
            n_source: Tokens of the source.
            size: `T`, with those of the target.
        """
        source, target = slice(0, n_source), slice(n_source, size)
        if layer < self.n_encoder:
            return [(slice(0, self.n_heads), source, source)]
        both = slice(0, self.n_heads), slice(self.n_heads, 2 * self.n_heads)
        return [(both[0], target, target), (both[1], target, source)]

    def attending(self, n_source: int, size: int) -> NDArray[np.int64]:
        """`[L, H]`: how many tokens attend through each head; 0 of those that are absent. Arguments as of `parts`."""
        count = np.zeros((self.n_layers, 2 * self.n_heads), np.int64)
        for layer in range(self.n_layers):
            for heads, queries, _ in self.parts(layer, n_source, size):
                count[layer, heads] = queries.stop - queries.start
        return count

    def present(self) -> NDArray[np.bool_]:
        """`[L, H]`: the heads that there are; `H` counts those of self-attention and of cross-attention."""
        there = np.ones((self.n_layers, 2 * self.n_heads), bool)
        there[: self.n_encoder, self.n_heads :] = False
        return there

    def carried(self, n_source: int, size: int) -> NDArray[np.bool_]:
        """`[L, T]`: the tokens that take no part in a layer.

        Args:
            n_source: Tokens of the source.
            size: `T`, with those of the target.
        """
        target, decoder = np.arange(size) >= n_source, np.arange(self.n_layers) >= self.n_encoder
        return target[None, :] != decoder[:, None]
