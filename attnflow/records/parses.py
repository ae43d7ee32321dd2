"""Trees that are read out of a model, and how whoever reads them was trained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnflow.records.trees import ROOT


@dataclass(frozen=True, eq=False)
class TrainingCurve:
    """How a classifier was trained; `E` epochs."""

    loss: NDArray[np.float64]
    """`[E]`: mean of `-log p(governor | word)` in nats, while it was learnt from."""
    dev_loss: NDArray[np.float64]
    """`[E]`: after each epoch, on sentences that are not learnt from."""
    dev_uas: NDArray[np.float64]
    """`[E]`: the share of governors that are right there, without punctuation."""
    best: int
    """The epoch that was kept, from 0: that of the smallest `dev_loss`."""


@dataclass(frozen=True, eq=False)
class Parse:
    """The tree of a sentence, with how sure each of its arcs is; `W` words, counted from 0."""

    words: tuple[str, ...]
    """`[W]`: those that have a token."""
    governor: tuple[int, ...]
    """`[W]`: in the tree that is most probable of all with one root; `ROOT` for that."""
    probability: NDArray[np.float64]
    """`[W, W + 1]` as `[dependent, governor]`, the root last, which is where -1 points to; rows sum to 1."""
    gold: tuple[int, ...] | None = None
    """`[W]`: where a treebank tells; `ROOT`, too, for a word whose governor has no token."""
    place: tuple[int, ...] = ()
    """`[W]`: the number of each word in its sentence, which is another where a word before it has no token."""

    def __len__(self) -> int:
        return len(self.words)

    @property
    def confidence(self) -> NDArray[np.float64]:
        """`[W]`: the probability of each arc of the tree."""
        return self.probability[np.arange(len(self)), np.array(self.governor, np.int64)]

    @property
    def root(self) -> int:
        """The word that no other governs."""
        return self.governor.index(ROOT)
