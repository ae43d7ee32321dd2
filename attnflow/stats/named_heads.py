"""Names for heads by what they do over many texts: by fixed thresholds, which are told beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import SelectionError
from attnflow.stats.entropy import EntropyResult
from attnflow.stats.surface import SurfaceResult

HeadName = Literal["self", "previous", "next", "first", "separator", "punctuation", "broad"]

THRESHOLDS: Mapping[HeadName, float] = MappingProxyType(
    {
        "self": 0.5,
        "previous": 0.5,
        "next": 0.5,
        "first": 0.6,
        "separator": 0.6,
        "punctuation": 0.6,
        "broad": 0.78,
    }
)
"""What a head must exceed: its mean attention to a kind of token; for `broad` its entropy, as a share of the most that
it can have. Of Clark et al., whose 3.8 nats are that share in their texts of 128 tokens."""


@dataclass(frozen=True)
class NamedHeads:
    """What each head of a model is called."""

    names: tuple[tuple[tuple[HeadName, ...], ...], ...]
    """For each layer and head its names, strongest first; often none, sometimes several."""
    value: Mapping[HeadName, NDArray[np.float64]]
    """For each name that a head of this model can have: `[L, H]`, what is compared with the threshold."""
    thresholds: Mapping[HeadName, float]


def name_heads(surface: SurfaceResult, entropy: EntropyResult) -> NamedHeads:
    """Name the heads of a model.

    Args:
        surface: What its heads attend to.
        entropy: How broadly, over the same texts.

    Raises:
        SelectionError: If the two are of different models.

    Reference:
        Clark et al., *What Does BERT Look At?*, section 6 and figure 6; the thresholds of their notebook.
    """
    if surface.mean.shape[:2] != entropy.whole.shape:
        raise SelectionError(
            f"Surface statistics are of {surface.mean.shape[:2]} layers and heads, entropies of {entropy.whole.shape}; "
            "give both of one model."
        )
    value: dict[HeadName, NDArray[np.float64]] = {}
    for name in THRESHOLDS:
        if (share := surface.of(name)) is not None:
            value[name] = share
    value["broad"] = entropy.whole / entropy.most if entropy.most > 0 else np.zeros_like(entropy.whole)
    layers, heads = entropy.whole.shape

    def names(layer: int, head: int) -> tuple[HeadName, ...]:
        own: list[HeadName] = [name for name in value if value[name][layer, head] > THRESHOLDS[name]]
        return tuple(sorted(own, key=lambda name: -float(value[name][layer, head])))

    named = tuple(tuple(names(layer, head) for head in range(heads)) for layer in range(layers))
    return NamedHeads(named, MappingProxyType(value), THRESHOLDS)
