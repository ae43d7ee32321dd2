"""Shares of cases that heads are right in: how endpoints ask for them, and tell them."""

from __future__ import annotations

from typing import Any, TypedDict

from numpy.typing import NDArray

from attnflow import progress
from attnflow.records.corpus import CorpusStatistics
from attnflow.service.collections import Opened, Page
from attnflow.service.corpora import corpora
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


def with_control(
    statistic: str, opened: Opened, ref: str, page: Page, *, random_weights: bool, **options: Any
) -> tuple[CorpusStatistics, list[Any]]:
    """A statistic of the heads of a checkpoint over texts, and perhaps of the same with random weights.

    Returns:
        The run of the checkpoint, and the results: its own, and that with random weights if it was asked for.
    """
    runs, count = list[CorpusStatistics](), 1 + random_weights
    for number in range(count):
        with progress.part(number / count, (number + 1) / count, "random weights" * number):
            runs.append(corpora.statistics(opened, ref, page, [statistic], random_weights=number > 0, **options))
    return runs[0], [one[statistic] for one in runs]


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
    return {"share": rounded(of.share) if of.n else None, "n": of.n, "interval": ends(of)}


def ends(of: Proportion) -> list[float]:
    """The ends of its interval."""
    return [rounded(end) for end in of.interval]


def head_accuracies(values: NDArray[Any]) -> list[list[float]]:
    """`[L][H]`: one number for each head."""
    return [[rounded(value) for value in layer] for layer in values.tolist()]
