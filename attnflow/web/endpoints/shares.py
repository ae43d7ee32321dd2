"""Shares of cases, as answers of endpoints tell them."""

from __future__ import annotations

from typing import Any, TypedDict

from numpy.typing import NDArray

from attnflow.stats.proportion import Proportion
from attnflow.views.rounding import rounded


class ShareAnswer(TypedDict):
    """A share of cases."""

    share: float
    n: int
    interval: list[float]


def share_answer(of: Proportion) -> ShareAnswer:
    """A share with its interval, of at least one case."""
    return {"share": rounded(of.share), "n": of.n, "interval": [rounded(end) for end in of.interval]}


def head_accuracies(values: NDArray[Any]) -> list[list[float]]:
    """`[L][H]`: one number for each head."""
    return [[rounded(value) for value in layer] for layer in values.tolist()]
