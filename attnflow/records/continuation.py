"""What a language model writes on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Continuation:
    """What a language model writes after a text, each time the likeliest token; `N` is how many."""

    text_a: str
    """The first sentence, with what was written where that goes on with it."""
    text_b: str | None
    """The second: of an encoder-decoder the target, with what was written."""
    written: str
    """That alone."""
    piece: tuple[str, ...]
    """`[N]`: entries of the vocabulary."""
    probability: NDArray[np.float64]
    """`[N]`: of each in its place."""
    ended: bool
    """Whether the model ended the text by itself."""
