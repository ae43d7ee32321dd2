"""The use cases of heads, for page and programs alike: what matters for a run, and what happens without."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from attnflow.checkpoints.checkpoint import ASSETS, Checkpoint
from attnflow.errors import SelectionError
from attnflow.methods.heads.importance import HeadImportance, Method, head_importance
from attnflow.methods.heads.pruning import (
    HeadInteractions,
    Order,
    PruningCurve,
    head_interactions,
    pruning_curve,
    ranking,
)
from attnflow.methods.objective import Quantity, has_task
from attnflow.methods.target import choose_target
from attnflow.records.trace import Encoding, Head
from attnflow.runtime.capture import capture
from attnflow.service import cases
from attnflow.service.bounds import check_trace, encode_bounded
from attnflow.service.cases import Run
from attnflow.stats.mean_attention import MeanAttention, Scale, normalise_importance

SET_SIZE = 64
"""Pairs of the bundled set that are averaged over; fewer where each is costly."""
_COSTLY = 20_000_000
_RANDOM_RUNS = 8


@dataclass(frozen=True)
class ImportanceView:
    """Head importance with what is to be said of it."""

    values: NDArray[np.float64]
    """`[L, H]`, raw."""
    method: Method
    """As computed: `ablation` where the wanted one needs a task."""
    quantity: Quantity
    target: str | None
    """The class or token whose loss it is, for one pair; None without a task or over many."""
    n_examples: int
    note: str

    @property
    def nbytes(self) -> int:
        """Memory of the numbers in bytes."""
        return self.values.nbytes


@dataclass(frozen=True)
class PatternView:
    """Mean attention of every head over the bundled pairs."""

    values: NDArray[np.float64]
    """`[L, H, T, T]`, 0 where no text has both positions."""
    n_examples: int

    @property
    def nbytes(self) -> int:
        """Memory of the numbers in bytes."""
        return self.values.nbytes


@dataclass(frozen=True)
class CurveView:
    """A pruning curve beside that of random order."""

    chosen: PruningCurve
    random: PruningCurve
    note: str
    nbytes: int = 0


@dataclass(frozen=True)
class InteractionView:
    """Interactions of one head with all others."""

    found: HeadInteractions
    quantity: Quantity
    note: str

    @property
    def nbytes(self) -> int:
        """Memory of the numbers in bytes."""
        return self.found.pair.nbytes + self.found.single.nbytes


def importance_of_pair(run: Run, method: Method, *, token: str | None = None) -> ImportanceView:
    """Head importance for the pair of a run, on top of what is switched off in it.

    Raises:
        AttnflowError: If there is no such method, or the heads' parameters cannot be told apart.
    """

    def compute(checkpoint: Checkpoint, encoding: Encoding) -> ImportanceView:
        return _importance(checkpoint, [encoding], [None], method, run.trace.pruned)

    return cases.analysis(run, ("head importance", HeadImportance(method).method), compute, token=token)


def importance_of_set(run: Run, method: Method, *, token: str | None = None) -> ImportanceView:
    """Head importance over the bundled pairs, on top of what is switched off in a run."""

    def compute(checkpoint: Checkpoint) -> ImportanceView:
        encodings, labels = _bundled(checkpoint, costly=method == "ablation")
        return _importance(checkpoint, encodings, labels, method, run.trace.pruned)

    what = ("head importance of the bundled pairs", HeadImportance(method).method, run.trace.pruned)
    return cases.checkpoint_analysis(run, what, compute, token=token)


def patterns_of_set(run: Run, *, token: str | None = None) -> PatternView:
    """Mean attention over the bundled pairs, with what is switched off in a run."""

    def compute(checkpoint: Checkpoint) -> PatternView:
        mean, (encodings, _) = MeanAttention(), _bundled(checkpoint, costly=False)
        for encoding in encodings:
            check_trace(checkpoint, len(encoding.tokens))
            mean.update(capture(checkpoint, encoding, pruned=run.trace.pruned).attention)
        return PatternView(np.nan_to_num(mean.result().mean), len(encodings))

    return cases.checkpoint_analysis(run, ("mean attention", run.trace.pruned), compute, token=token)


def curves(
    run: Run, order: Order, steps: int | None = None, scale: Scale = "all", *, token: str | None = None
) -> CurveView:
    """The pruning curve of a run's pair from the whole model on, and that of random order.

    On the scale `layer` importance is divided by the norm of its layer before heads are put in order.

    Raises:
        SelectionError: If there is no such order or number of steps.
    """

    def compute(checkpoint: Checkpoint, encoding: Encoding) -> CurveView:
        wanted, note = order, ""
        if order in ("taylor", "gate") and not has_task(checkpoint, encoding):
            wanted, note = "ablation", _no_task(checkpoint)
        in_order: Order | tuple[Head, ...] = wanted
        if scale == "layer" and wanted in get_args(Method):
            in_order = ranking(normalise_importance(head_importance(checkpoint, encoding, method=wanted), scale))
        chosen = replace(pruning_curve(checkpoint, encoding, order=in_order, steps=steps), order=wanted)
        random = pruning_curve(checkpoint, encoding, order="random", steps=steps, runs=_RANDOM_RUNS)
        return CurveView(chosen, random, note, random.score.nbytes)

    whole = cases.rerun(run, [], token=token)
    return cases.analysis(whole, ("pruning curve", order, steps, scale), compute, token=token)


def interactions(run: Run, head: Head, *, token: str | None = None) -> InteractionView:
    """Interactions of one head with all others, on top of what is switched off in a run.

    Raises:
        SelectionError: If there is no such head.
    """

    def compute(checkpoint: Checkpoint, encoding: Encoding) -> InteractionView:
        found = head_interactions(checkpoint, encoding, head, pruned=run.trace.pruned)
        task = has_task(checkpoint, encoding)
        return InteractionView(found, "loss" if task else "root-shift", "" if task else _no_task(checkpoint))

    return cases.analysis(run, ("head interactions", head), compute, token=token)


def root_shift(before: Run, after: Run) -> float:
    """How far the root's last embedding moves from one run to another of the same pair, in units of its length."""
    rows = [run.trace.hidden[-1, run.trace.root].astype(np.float64) for run in (before, after)]
    return float(np.linalg.norm(rows[1] - rows[0]) / np.linalg.norm(rows[0]))


def _importance(
    checkpoint: Checkpoint,
    encodings: list[Encoding],
    labels: list[int | None],
    method: Method,
    pruned: frozenset[Head],
) -> ImportanceView:
    task, note = all(has_task(checkpoint, encoding) for encoding in encodings), ""
    if not task:
        method, note = "ablation", _no_task(checkpoint)
    accumulator = HeadImportance(method)
    accumulator.update(checkpoint, encodings, labels, pruned=pruned)
    target = choose_target(checkpoint, encodings[0]).name if task and len(encodings) == 1 else None
    return ImportanceView(accumulator.result().mean, method, accumulator.quantity, target, len(encodings), note)


def _no_task(checkpoint: Checkpoint) -> str:
    lack = "predicts masked words, and there is none here" if checkpoint.head.trained else "has no trained task head"
    return (
        f"{checkpoint.name} {lack}, so there is no loss: shown is how far the embedding of the token that a task would "
        "read moves without the head, in units of its length."
    )


@cache
def _pairs() -> tuple[tuple[str, str, int], ...]:
    lines = (ASSETS / "demo" / "pairs.jsonl").read_text(encoding="utf-8").splitlines()[:SET_SIZE]
    return tuple((pair["text_a"], pair["text_b"], pair["label"]) for pair in map(json.loads, lines))


def _bundled(checkpoint: Checkpoint, *, costly: bool) -> tuple[list[Encoding], list[int | None]]:
    """Bundled pairs; their labels serve the bundled classifier, every other is measured by its own predictions."""
    pairs = _pairs()[: SET_SIZE // 8 if costly and checkpoint.n_parameters > _COSTLY else SET_SIZE]
    own = checkpoint.name == "demo/finetuned"
    labels = [label if own else None for _, _, label in pairs]
    return [encode_bounded(checkpoint, text_a, text_b) for text_a, text_b, _ in pairs], labels


def least_important(importance: NDArray[np.float64], run: Run, count: int) -> frozenset[Head]:
    """What is switched off in a run, and so many more heads of those that matter least.

    Raises:
        SelectionError: If the number is below 1.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise SelectionError(f"The number of heads is {count!r}; give a whole number from 1.")
    values = importance.copy()
    for head in run.trace.pruned:
        values[head] = np.inf
    left = values.size - len(run.trace.pruned)
    return run.trace.pruned.union(ranking(values)[: min(count, left)])
