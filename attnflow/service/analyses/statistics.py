"""Analyses of a checkpoint over many texts: each feeds one statistic, and nothing of a single text is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from attnflow import progress
from attnflow.bundled import ASSETS
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.records.trace import Encoding, Trace
from attnflow.runtime.capture import capture
from attnflow.runtime.encode import encode
from attnflow.service.analyses.work import forward
from attnflow.service.case import Case
from attnflow.service.registry import Analysis
from attnflow.stats.entropy import AttentionEntropy
from attnflow.stats.statistic import Statistic

T = TypeVar("T")

SET_SIZE = 64
"""Bundled pairs that are averaged over."""


@cache
def _pairs() -> tuple[tuple[str, str], ...]:
    lines = (ASSETS / "demo" / "pairs.jsonl").read_text(encoding="utf-8").splitlines()[:SET_SIZE]
    return tuple((pair["text_a"], pair["text_b"]) for pair in map(json.loads, lines))


def bundled(checkpoint: Checkpoint) -> list[Encoding]:
    """Bundled pairs."""
    return [encode(checkpoint, text_a, text_b) for text_a, text_b in _pairs()]


def of_traces(
    name: str,
    says: str,
    start: Callable[[], Statistic],
    update: Callable[[Any, Trace], object],
    result: Callable[[Any], T],
) -> Analysis[T]:
    """An analysis that runs the bundled pairs and feeds what was recorded of each to a statistic.

    Args:
        name: How programs call it.
        says: What it tells.
        start: Makes an empty statistic.
        update: Called with the statistic and a trace; feeds one to the other.
        result: Called with the statistic; gives what is kept.
    """

    def compute(case: Case) -> T:
        statistic, checkpoint = start(), case.checkpoint
        checkpoint.check_one_stack("Statistics of attention")
        encodings = bundled(checkpoint)
        for number, encoding in enumerate(encodings):
            progress.tell(f"{number} of {len(encodings)} texts", number / len(encodings))
            update(statistic, capture(checkpoint, encoding, pruned=case.pruned))
        return result(statistic)

    def work(case: Case) -> float:
        return SET_SIZE * forward(case)

    return Analysis(name, says, compute, work=work, of_checkpoint=True)


@dataclass(frozen=True)
class HeadTable:
    """A statistic with one number for each head, which the page offers for one text, and an endpoint over many, too."""

    name: str
    title: str
    """How people call it."""
    says: str
    """How to read it, in one sentence."""
    of_text: Analysis[Any]
    over_texts: Analysis[Any]
    table: Callable[[Any], NDArray[np.float64]]
    """`[L, H]` of a result."""


def _head_table(
    name: str,
    title: str,
    says: str,
    start: Callable[[], Statistic],
    update: Callable[[Any, Trace], object],
    table: Callable[[Any], NDArray[np.float64]],
) -> HeadTable:
    def one(case: Case) -> Any:
        case.checkpoint.check_one_stack("Statistics of attention")
        statistic = start()
        update(statistic, case.trace)
        return statistic.result()

    of_text = Analysis(f"{name}_of_text", says, one, kept=False)
    return HeadTable(name, title, says, of_text, of_traces(name, says, start, update, lambda fed: fed.result()), table)


HEAD_TABLES = {
    one.name: one
    for one in (
        _head_table(
            "entropy",
            "Spread of attention",
            "Entropy of each head's attention in nats, mean over the tokens of a text: 0 if all goes to one token, the "
            "logarithm of the number of tokens if it is spread evenly (Clark et al., section 3.3).",
            AttentionEntropy,
            lambda entropy, trace: entropy.update(trace.attention, root=trace.root),
            lambda found: found.whole,
        ),
    )
}
"""By name; the page's matrix of heads and the endpoint `head_statistic` offer what stands here."""
