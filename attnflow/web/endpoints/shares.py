"""Shares of cases, as answers of endpoints tell them."""

from __future__ import annotations

from typing import Any, TypedDict

from numpy.typing import NDArray

from attnflow.stats.dependencies import Found
from attnflow.stats.proportion import Proportion
from attnflow.views.rounding import rounded


class ShareAnswer(TypedDict):
    """A share of cases; null of none."""

    share: float | None
    n: int
    interval: list[float]


class HeadFound(TypedDict):
    """The head that finds most governors."""

    layer: int
    head: int
    direction: str
    accuracy: ShareAnswer
    held_out: ShareAnswer


def head_found(best: Found) -> HeadFound:
    """The best head of a relation."""
    assert best.layer is not None and best.head is not None and best.direction is not None, "it is no offset"
    return {
        "layer": best.layer,
        "head": best.head,
        "direction": best.direction,
        "accuracy": share_answer(best.on_all),
        "held_out": share_answer(best.held_out),
    }


def share_answer(of: Proportion) -> ShareAnswer:
    """A share with its interval."""
    return {"share": rounded(of.share) if of.n else None, "n": of.n, "interval": [rounded(end) for end in of.interval]}


def head_accuracies(values: NDArray[Any]) -> list[list[float]]:
    """`[L][H]`: one number for each head."""
    return [[rounded(value) for value in layer] for layer in values.tolist()]
