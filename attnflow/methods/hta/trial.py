"""Tries whether a layer's attention is plain: each token by itself, then softmax attention."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from attnflow.methods.hta.pushforward import Stretch, push
from attnflow.runtime.attention_hook import Call

_ROWS = 4096
"""Rows, changes times tokens, of one batch."""
Parts = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Of query `[…, H, T, K]`, key and value, both `[…, H or fewer, T, K]`."""


@dataclass(frozen=True, eq=False)
class Moved:
    """How far query, key and value of each token move if it moves in one direction, the same for all."""

    direction: torch.Tensor
    """`[D]`."""
    parts: Parts

    @property
    def alike(self) -> bool:
        """Whether all tokens move alike, as where the direction goes through linear maps alone."""
        return all(negligible(part - part[:, :1], part) for part in self.parts)


def trial(stretch: Stretch, call: Call) -> Moved | None:
    """Move the tokens of a text in a random direction.

    Args:
        stretch: A single layer.
        call: What its attention is called with.

    Returns:
        How far they move; None if a token's query, key or value depends on another token, or if the heads' outputs do
        not move with them as those of softmax attention do, as under a soft cap.
    """
    _, size, width = stretch.hidden.shape
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(width, generator=generator, device="cpu").to(stretch.hidden)
    changed = torch.rand(size, generator=generator, device="cpu").to(stretch.hidden) < 0.5
    *trials, output = changes(stretch, torch.stack([changed[:, None] * direction, direction.expand(size, -1)]))
    if not all(negligible(part[0, :, ~changed], part) for part in trials):
        return None

    def attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor]:
        return (softmax_attention(query, key, value, call)[1],)

    own = (call.query[0], call.key[0], call.value[0])
    (expected,) = push(attention, own, tuple(part[1:] for part in trials))
    if not negligible(expected - output[1:], output):
        return None
    query, key, value = (part[1] for part in trials)
    return Moved(direction, (query, key, value))


def changes(stretch: Stretch, tangents: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """How query, key, value and output move, each `[n, H or fewer, T, K]`, if the tokens move by `[n, T, D]`."""

    def parts(hidden: torch.Tensor) -> tuple[torch.Tensor, ...]:
        calls = stretch.run(hidden, keep_calls=True).calls
        assert calls is not None, "calls are kept where that is asked for"
        call = calls[-1]
        return call.query[0], call.key[0], call.value[0], call.output[0].transpose(0, 1)

    batches = tangents[:, None].split(max(1, _ROWS // tangents.shape[1]))
    found = [push(parts, (stretch.hidden,), (batch,)) for batch in batches]
    return tuple(torch.cat(part) for part in zip(*found, strict=True))


def softmax_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, call: Call
) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities `[H, T, T]` and outputs `[H, T, K]` of a call's attention with these queries, keys and values."""
    groups = len(query) // len(key)
    key, value = (part.repeat_interleave(groups, dim=0) for part in (key, value))
    scores = call.scaling * query @ key.mT
    probabilities = (scores if call.mask is None else scores + call.mask[0]).softmax(-1)
    return probabilities, probabilities @ value


def negligible(part: torch.Tensor, whole: torch.Tensor, dtype: torch.dtype | None = None) -> bool:
    """Whether what is left of something is no more than the rounding of a precision: its own, if None is given."""
    rounding = torch.finfo(dtype or whole.dtype).eps
    # Architectures compute parts of what is in float64 in float32 anyway; and half of a thing is not its rounding.
    tolerance = max(1e-5, 256 * rounding if rounding < 1e-4 else 16 * rounding)
    return not part.numel() or bool(part.abs().max() <= tolerance * whole.abs().max())
