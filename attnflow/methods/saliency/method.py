"""What a saliency method is: one function with a name, a sign flag, and what a reader must know of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from attnflow.methods.score_function import Question


@dataclass(frozen=True)
class Answer:
    """What a method answers."""

    values: NDArray[np.float64]
    """`[T]`"""
    total: float | None = None
    """What the values and `elsewhere` should add up to; None if the method promises no sum."""
    elsewhere: float = 0.0
    """The share of the total that no token gets because biases take it."""
    notes: Mapping[str, str | float] = field(default_factory=dict)
    """How it was computed: steps, baseline, threshold."""
    standard_error: NDArray[np.float64] | None = None
    """`[T]` of an estimate from random probes; None if the values are not estimated."""


@dataclass(frozen=True)
class Method:
    """A saliency method."""

    name: str
    """How programs call it."""
    title: str
    """How people call it."""
    signed: bool
    """Whether a negative value means that a token speaks against the target."""
    about_target: bool
    """Whether the values depend on which score is explained."""
    measures: str
    """What it measures, in one sentence."""
    ignores: str
    """What it does not see, in one sentence."""
    source: str
    """The paper."""
    compute: Callable[[Question], Answer]
    passes: Callable[[int], float] = lambda size: 5.0
    """Called with the number of tokens: how many forward passes it takes, about."""
