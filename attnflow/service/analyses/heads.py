"""What each head matters for a case, and what happens without heads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from attnflow import progress
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import SelectionError
from attnflow.methods.heads.importance import HeadImportance, ImportanceMethod, head_importance
from attnflow.methods.heads.pruning import (
    HeadInteractions,
    Order,
    PruningCurve,
    head_interactions,
    pruning_curve,
    ranking,
)
from attnflow.methods.heads.sweeps import HeadValues
from attnflow.methods.objective import Quantity, has_task
from attnflow.methods.target import choose_target
from attnflow.records.root import tokens_of
from attnflow.records.trace import Head, Trace, is_whole
from attnflow.service.analyses.common import HEAD, LAYER
from attnflow.service.analyses.work import backward, forward, removals
from attnflow.service.case import Case
from attnflow.service.registry import Analysis, Parameter
from attnflow.stats.mean_attention import Scale, normalise_importance

STEPS = 16
"""Points of a pruning curve that nobody asked a number of."""
MOST_STEPS = 64
_RANDOM_RUNS = 8


@dataclass(frozen=True)
class ImportanceView:
    """Head importance with what is to be said of it."""

    values: NDArray[np.float64]
    """`[L, H]`, raw."""
    method: ImportanceMethod
    """As computed: `ablation` where the wanted one needs a task."""
    quantity: Quantity
    target: str | None
    """The class or token whose loss it is, for one pair; None without a task or over many."""
    n_examples: int
    note: str


@dataclass(frozen=True)
class CurveView:
    """A pruning curve beside that of random order."""

    chosen: PruningCurve
    random: PruningCurve
    note: str


@dataclass(frozen=True)
class InteractionView:
    """Interactions of one head with all others."""

    found: HeadInteractions
    quantity: Quantity
    note: str


def without_task(checkpoint: Checkpoint) -> str:
    """What is measured of a checkpoint that predicts nothing of a text, and why."""
    lack = "predicts masked words, and there is none here" if checkpoint.head.trained else "has no trained task head"
    return (
        f"{checkpoint.name} {lack}, so there is no loss: shown is how far the embedding of the token that a task would "
        "read moves without the head, in units of its length."
    )


def _important(case: Case, method: ImportanceMethod) -> ImportanceView:
    checkpoint, encoding = case.checkpoint, case.encoding
    method = HeadImportance(method=method).method
    task, note = has_task(checkpoint, encoding), ""
    if not task:
        method, note = "ablation", without_task(checkpoint)
    accumulator = HeadImportance(method=method)
    target = choose_target(checkpoint, encoding).name if task else None

    def so_far(found: HeadValues) -> None:
        progress.offer(ImportanceView(found.values, method, "loss" if task else "root-shift", target, 1, note))

    with progress.taking(HeadValues, so_far):
        accumulator.update(checkpoint, [encoding], [case.label], pruned=case.pruned)
    assert accumulator.quantity is not None
    return ImportanceView(np.asarray(accumulator.result()), method, accumulator.quantity, target, 1, note)


def _curve(case: Case, order: Order, steps: int | None, scale: Scale) -> CurveView:
    checkpoint, encoding = case.checkpoint, case.encoding
    points = _points(case, steps)
    wanted, note = order, ""
    if order in ("taylor", "gate") and not has_task(checkpoint, encoding):
        wanted, note = "ablation", without_task(checkpoint)
    in_order: Order | tuple[Head, ...] = wanted
    if scale == "layer" and wanted not in ("greedy", "random"):
        in_order = ranking(normalise_importance(head_importance(checkpoint, encoding, method=wanted), scale))
    in_random = 0.5 * _RANDOM_RUNS * (points + 1) * forward(case)
    begin = 1 - in_random / _curve_work(case, wanted, points, scale)
    with progress.part(0, begin):
        chosen = replace(pruning_curve(checkpoint, encoding, order=in_order, steps=points), order=wanted)
    with progress.part(begin, 1, "in random order"):
        random = pruning_curve(checkpoint, encoding, order="random", steps=points, runs=_RANDOM_RUNS)
    return CurveView(chosen, random, note)


def _points(case: Case, steps: int | None) -> int:
    most = min(MOST_STEPS, case.card.n_all_heads)
    points = min(STEPS, most) if steps is None else steps
    if not is_whole(points) or not 1 <= points <= most:
        raise SelectionError(f"steps is {points}; give a whole number from 1 to {most}.")
    return int(points)


def _interacting(case: Case, layer: int, head: int) -> InteractionView:
    checkpoint = case.checkpoint
    task = has_task(checkpoint, case.encoding)
    quantity, note = ("loss", "") if task else ("root-shift", without_task(checkpoint))
    with progress.taking(HeadInteractions, lambda found: progress.offer(InteractionView(found, quantity, note))):
        found = head_interactions(checkpoint, case.encoding, (layer, head), pruned=case.pruned)
    return InteractionView(found, quantity, note)


def root_shift(before: Case, after: Case) -> float:
    """How far the root's last embedding moves from one case to another of the same text, in units of its length.

    Of several tokens that are read, their mean.
    """
    rows = [_at_root(case.trace) for case in (before, after)]
    return float(np.linalg.norm(rows[1] - rows[0]) / np.linalg.norm(rows[0]))


def _at_root(trace: Trace) -> NDArray[np.float64]:
    """`[D]`"""
    return trace.hidden[-1, list(tokens_of(trace.root))].mean(axis=0, dtype=np.float64)


def least_important(importance: NDArray[np.float64], case: Case, count: int) -> frozenset[Head]:
    """What is switched off in a case, and so many more heads of those that matter least.

    Raises:
        SelectionError: If the number is below 1.
    """
    if not is_whole(count) or count < 1:
        raise SelectionError(f"The number of heads is {count!r}; give a whole number from 1.")
    values = importance.copy()
    for head in case.pruned:
        values[head] = np.inf
    left = values.size - len(case.pruned)
    return case.pruned.union(ranking(values)[: min(count, left)])


def importance_work(case: Case, method: str) -> float:
    """Work of one method for one text."""
    return removals(case) if method == "ablation" else 2 * backward(case)


def _curve_work(case: Case, order: str, steps: int | None, scale: str) -> float:
    heads, points = case.card.n_all_heads, _points(case, steps)
    curves = 0.5 * (1 + _RANDOM_RUNS) * (points + 1) * forward(case)
    if order == "greedy":  # at each point a sweep over all heads that are left
        return curves + sum(removals(case, round(heads * (1 - point / points))) for point in range(points))
    return curves + (removals(case) if order == "ablation" else backward(case))


def _curve_remedy(case: Case, most: float, order: str, steps: int | None, scale: str) -> str:
    fitting = [points for points in range(1, _points(case, steps)) if _curve_work(case, order, points, scale) <= most]
    return f"give steps={fitting[-1]} or fewer" if fitting else "choose another order or shorten the text"


def _interaction_work(case: Case, layer: int, head: int) -> float:
    return 2 * removals(case)


IMPORTANCE_TITLES = {"ablation": "Removal", "gate": "Gradient of a gate", "taylor": "Gradient of the weights"}
METHOD = Parameter(
    "method",
    str,
    "taylor",
    '"taylor" (sum of (gradient x weight) squared over the head\'s weights), "gate" (size of the gradient of a gate on '
    'its output) or "ablation" (change of the loss when it is removed). A checkpoint that predicts nothing of the text '
    'is measured by "ablation", of the embedding that a task would read; `method`, `quantity` and `note` say so.',
    IMPORTANCE_TITLES,
)
ORDER = Parameter(
    "order",
    str,
    "taylor",
    '"taylor", "gate" or "ablation" (the least important head for this pair first), "greedy" (always the head that '
    'costs least on top of what is gone) or "random".',
    {**IMPORTANCE_TITLES, "greedy": "Greedy"},
)
POINTS = Parameter(
    "steps",
    int | None,
    None,
    f"Points after the first, with as many heads between them; at most {MOST_STEPS}, and {STEPS} if left out.",
)
SCALE = Parameter(
    "scale",
    Literal["all", "layer"],
    "all",
    "Whether importance is divided by the norm of its layer before heads are put in order.",
    {"all": "All heads", "layer": "Each layer"},
)

IMPORTANCE = Analysis(
    name="head_importance",
    says="How much each head matters for what the checkpoint predicts of the text.",
    parameters=(METHOD,),
    compute=_important,
    work=importance_work,
    of_prediction=True,
)
CURVE = Analysis(
    name="pruning_curve",
    says="How a prediction holds as more and more heads are removed, in one order and at random.",
    parameters=(ORDER, POINTS, SCALE),
    compute=_curve,
    work=_curve_work,
    remedy=_curve_remedy,
    of_prediction=True,
)
INTERACTIONS = Analysis(
    name="head_interactions",
    says="What removing a head together with each other head does beyond removing each alone.",
    parameters=(LAYER, HEAD),
    compute=_interacting,
    work=_interaction_work,
    of_prediction=True,
)
