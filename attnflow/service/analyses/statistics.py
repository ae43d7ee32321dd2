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
from attnflow.methods.heads.importance import HeadImportance, ImportanceMethod
from attnflow.methods.heads.sweeps import HeadValues
from attnflow.methods.objective import Quantity, has_task
from attnflow.records.trace import Encoding, Trace
from attnflow.runtime.capture import capture
from attnflow.runtime.encode import encode
from attnflow.service.analyses.heads import METHOD, ImportanceView, importance_work, without_task
from attnflow.service.analyses.work import forward
from attnflow.service.case import Case
from attnflow.service.registry import Analysis
from attnflow.stats.entropy import AttentionEntropy
from attnflow.stats.mean_attention import MeanAttention
from attnflow.stats.statistic import Statistic

T = TypeVar("T")

SET_SIZE = 64
"""Bundled pairs that are averaged over; fewer where each is costly."""
_COSTLY = 20_000_000


@dataclass(frozen=True)
class PatternView:
    """Mean attention of every head over the bundled pairs."""

    values: NDArray[np.float64]
    """`[L, H, T, T]`, 0 where no text has both positions."""
    n_examples: int


@cache
def _pairs() -> tuple[tuple[str, str, int], ...]:
    lines = (ASSETS / "demo" / "pairs.jsonl").read_text(encoding="utf-8").splitlines()[:SET_SIZE]
    return tuple((pair["text_a"], pair["text_b"], pair["label"]) for pair in map(json.loads, lines))


def bundled(checkpoint: Checkpoint, *, costly: bool = False) -> tuple[list[Encoding], list[int | None]]:
    """Bundled pairs; their labels serve the bundled classifier, every other is measured by its own predictions."""
    pairs = _pairs()[: SET_SIZE // 8 if costly and checkpoint.n_parameters > _COSTLY else SET_SIZE]
    own = checkpoint.name == "demo/finetuned"
    labels = [label if own else None for _, _, label in pairs]
    return [encode(checkpoint, text_a, text_b) for text_a, text_b, _ in pairs], labels


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
        encodings = bundled(checkpoint)[0]
        for number, encoding in enumerate(encodings):
            progress.tell(f"{number} of {len(encodings)} texts", number / len(encodings))
            update(statistic, capture(checkpoint, encoding, pruned=case.pruned))
        return result(statistic)

    def work(case: Case) -> float:
        return SET_SIZE * forward(case)

    return Analysis(name, says, compute, work=work, of_checkpoint=True)


def _important(case: Case, method: ImportanceMethod) -> ImportanceView:
    checkpoint = case.checkpoint
    method = HeadImportance(method=method).method
    encodings, labels = bundled(checkpoint, costly=method == "ablation")
    note = ""
    if not all(has_task(checkpoint, encoding) for encoding in encodings):
        method, note = "ablation", without_task(checkpoint)
    statistic = HeadImportance(method=method)
    quantity: Quantity = "root-shift" if note else "loss"

    def so_far(found: HeadValues) -> None:
        progress.offer(ImportanceView(found.values, method, quantity, None, len(encodings), note))

    with progress.taking(HeadValues, so_far):
        statistic.update(checkpoint, encodings, labels, pruned=case.pruned)
    assert statistic.quantity is not None
    return ImportanceView(np.asarray(statistic.result()), method, statistic.quantity, None, len(encodings), note)


def _importance_work(case: Case, method: str) -> float:
    count = SET_SIZE // 8 if method == "ablation" and case.card.n_parameters > _COSTLY else SET_SIZE
    return count * importance_work(case, method)


IMPORTANCE = Analysis(
    name="head_importance_over_texts",
    says="How much each head matters over the bundled pairs.",
    parameters=(METHOD,),
    compute=_important,
    work=_importance_work,
    of_checkpoint=True,
)
PATTERNS: Analysis[PatternView] = of_traces(
    "mean_attention",
    "The attention of each head, averaged over the bundled pairs position by position.",
    MeanAttention,
    lambda mean, trace: mean.update(trace.attention),
    lambda mean: PatternView(np.nan_to_num(np.asarray(mean.result())), mean.result().n),
)


@dataclass(frozen=True)
class HeadTable:
    """A statistic with one number for each head, which page and endpoint offer for one text and over many."""

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
