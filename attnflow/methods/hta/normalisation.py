"""What a layer divides a token by before it projects it: nothing, or its size as in layer norm and RMS norm."""

from __future__ import annotations

from dataclasses import dataclass

import torch

_LARGE, _SMALL = 128.0, 2.0**-10
"""Sizes of chosen vectors beside which what is added to a variance counts for nothing, and for much."""


@dataclass(frozen=True)
class Norm:
    """A token divided by its size, without weights; `centred` before, in layer norm, and not in RMS norm."""

    centred: bool
    epsilon: float

    def __call__(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Of `[T, D]` the normalised `z`, and `s` and `b`, `[T]` each, that tell its Jacobian `J`.

        `J = s (C - z z' / D)` and `J J' = s^2 (C - b z z')`, where `C` takes the mean away, or nothing.
        """
        away = self.centre(hidden)
        variance = away.square().mean(-1)
        scale = (variance + self.epsilon).rsqrt()
        return away * scale[:, None], scale, (2 - variance * scale.square()) / hidden.shape[-1]

    def centre(self, rows: torch.Tensor) -> torch.Tensor:
        """`C` applied to each row."""
        return rows - rows.mean(-1, keepdim=True) if self.centred else rows

    def change(self, hidden: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        """`[T, D]`: how far `z` moves if each token moves in a direction `[D]`."""
        normal, scale, _ = self(hidden)
        along = (normal @ direction)[:, None] / hidden.shape[-1]
        return scale[:, None] * (self.centre(direction) - normal * along)


def chosen_vectors(like: torch.Tensor) -> torch.Tensor:
    """`[4, D]`: zeros, large signs, a large constant and small signs, as wide as a tensor and of its kind."""
    width = like.shape[-1]
    generator = torch.Generator().manual_seed(0)
    signs = (torch.rand(width, generator=generator, device="cpu") < 0.5).double() * 2 - 1
    rows = torch.stack([0 * signs, _LARGE * signs, torch.full_like(signs, _LARGE), _SMALL * signs])
    return rows.to(like)


def find_norm(chosen: torch.Tensor, found: torch.Tensor) -> tuple[Norm | None, torch.Tensor]:
    """Tell a norm by what it makes of the chosen vectors, if it is one; the trial of a text shows whether it is.

    Args:
        chosen: `[4, D]`, of `chosen_vectors`.
        found: What became of them.

    Returns:
        The norm, or None if nothing happens to a token; and its weights `[D]`.
    """
    if torch.equal(chosen, found):
        return None, torch.ones_like(found[0])
    large, constant, small = found[1:] - found[0]
    centred = bool(constant.abs().max() < 0.01 * large.abs().max())
    bare = Norm(centred, 0.0)
    gain = large / bare(chosen[1:2])[0][0]
    # Small signs come out shorter than large ones by sqrt(v / (v + epsilon)), where v is their variance.
    shorter = float(small @ large / large.square().sum())
    variance = float(bare.centre(chosen[3]).square().mean())
    return Norm(centred, max(0.0, variance * (shorter**-2 - 1)) if shorter else 0.0), gain
