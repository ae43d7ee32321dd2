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
    note: str
    """What the layout was started from, and what its vectors are where they are not a layer's own; often empty."""

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return self.points.nbytes + self.preserved.nbytes
