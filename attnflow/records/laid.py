"""Where texts lie in the plane, and how far that can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Laid:
    """Where texts lie in the plane; NaN for those that were not read."""

    points: NDArray[np.float32]
    """`[N, 2]`"""
    preserved: NDArray[np.float32]
    """`[N]`"""
    trustworthiness: float
    continuity: float
    neighbours: int
    begun: str
    """What the layout was started from, for a reader; empty if from nothing."""

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return self.points.nbytes + self.preserved.nbytes
