"""What happens without heads: curves as more and more are removed, and who backs up whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow import progress
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import SelectionError
from attnflow.methods.heads.importance import ImportanceMethod, head_importance
from attnflow.methods.heads.sweeps import Sweep, single_removals
from attnflow.methods.objective import Label, Loss, Measure, examples
from attnflow.records.trace import Encoding, Head, check_heads

Order = Literal["taylor", "gate", "ablation", "greedy", "random"]
_MOST_RUNS = 100
_ORDERING = {"ablation": 0.8, "greedy": 0.95}
"""About the share of the work that it takes to find an order; of others next to nothing."""


@dataclass(frozen=True)
class PruningCurve:
    """How a checkpoint does as more and more heads are removed; `R` runs, of which only random order has several."""

    order: str
    """The name of the order, or `given`."""
    heads: tuple[tuple[Head, ...], ...]
    """For each run all heads as they are removed, first to last."""
    removed: NDArray[np.int64]
    """`[S]`: how many heads are gone, from 0 to all."""
    score: NDArray[np.float64]
    """`[R, S]`: mean over examples of `measure`."""
    measure: Measure
    """The probability of the target, the value of a regression or, without a task, the shift of the root."""
    accuracy: NDArray[np.float64] | None
    """`[R, S]`: share of the examples whose label is still predicted; None without labels."""

    @property
    def fraction(self) -> NDArray[np.float64]:
        """`[S]`: share of all heads that are gone."""
        return self.removed / len(self.heads[0])

    def area(self, what: Literal["score", "accuracy"] = "score") -> NDArray[np.float64]:
        """`[R]`: the area under a curve over the fraction of heads removed; its mean height, by trapezoids."""
        values = self.score if what == "score" else self.accuracy
        if values is None:
            raise SelectionError("This curve has no accuracy; give labels when it is made.")
        return np.asarray(np.trapezoid(values, self.fraction, axis=1))


@dataclass(frozen=True)
class HeadInteractions:
    """What one head does together with each other head; changes of the loss, positive where removal hurts."""

    head: Head
    single: NDArray[np.float64]
    """`[L, H]`: with this head alone removed."""
    pair: NDArray[np.float64]
    """`[L, H]`: with this head and the chosen one removed."""

    @property
    def interaction(self) -> NDArray[np.float64]:
        """`[L, H]`: the pair's change minus both single ones, 0 for itself; positive if the two back each other up."""
        found = self.pair - self.single - self.single[self.head]
        found[self.head] = 0
        return found


def ranking(importance: NDArray[np.floating]) -> tuple[Head, ...]:
    """All heads from the least to the most important; of equal ones the earlier first.

    Example:
        >>> ranking(np.array([[3.0, 1.0], [2.0, 1.0]]))
        ((0, 1), (1, 1), (1, 0), (0, 0))
    """
    flat = np.argsort(importance, axis=None, kind="stable")
    return tuple((int(n) // importance.shape[1], int(n) % importance.shape[1]) for n in flat)


def pruning_curve(
    checkpoint: Checkpoint,
    encodings: Encoding | Sequence[Encoding],
    labels: Label | Sequence[Label] = None,
    *,
    order: Order | Sequence[Head] = "taylor",
    steps: int | None = None,
    runs: int = 8,
    seed: int = 0,
) -> PruningCurve:
    """Remove heads one after the other and see how the checkpoint does.

    Args:
        checkpoint: The model; it is left as it is.
        encodings: One or many encoded pairs.
        labels: What should be predicted of each; without them the target is what the whole model predicts.
        order: An importance method: the least important heads of these examples first, by raw importance; to have each
            layer divided by its norm first, which often holds longer, give
            `ranking(normalise_importance(importance, "layer"))`. `greedy`: at each step the heads
            whose removal costs least on top of what is gone. `random`: several runs. Or all heads in a wanted order.
        steps: Points after the first, with as many heads between them; None removes one head at a time. Greedy order
            runs a sweep over all heads that are left for each.
        runs: Random orders.
        seed: Of the random orders.

    Raises:
        SelectionError: If an order, label or number does not exist.
    """
    encodings, labels = examples(encodings, labels)
    size = len(checkpoint.heads)
    for name, value, most in (("steps", size if steps is None else steps, size), ("runs", runs, _MOST_RUNS)):
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise SelectionError(f"{name} is {value!r}; give a whole number from 1 to {most}.")
    removed = np.unique(np.linspace(0, size, (steps or size) + 1).round().astype(np.int64))
    sweeps = [Sweep(checkpoint, *example) for example in zip(encodings, labels, strict=True)]
    sought = _ORDERING.get(order, 0.0) if isinstance(order, str) else 0.0
    with progress.part(0, sought, "the order"):
        name, orders = _orders(checkpoint, sweeps, labels, order, removed, runs, seed)
    gates = torch.ones(len(orders), len(removed), checkpoint.n_layers, checkpoint.n_heads, device="cpu")
    for run, heads in enumerate(orders):
        for point, gone in enumerate(removed):
            gates[run, point][tuple(zip(*heads[:gone], strict=True)) or (slice(0),)] = 0
    score, hits = np.zeros(gates.shape[:2]), np.zeros(gates.shape[:2])
    points, done = score.size * len(sweeps), 0
    for sweep in sweeps:
        for rows, output in sweep.outputs(gates.flatten(0, 1)):
            done += len(rows)
            progress.tell(f"{done:,} of {points:,} points", sought + (1 - sought) * done / points)
            score.flat[rows] += sweep.loss.score(output).double().cpu().numpy()
            if sweep.loss.has_classes:
                hits.flat[rows] += sweep.loss.correct(output).cpu().numpy()
    labelled = all(label is not None for label in labels) and all(sweep.loss.has_classes for sweep in sweeps)
    return PruningCurve(
        order=name,
        heads=tuple(orders),
        removed=removed,
        score=score / len(sweeps),
        measure=_one_measure([sweep.loss for sweep in sweeps]),
        accuracy=hits / len(sweeps) if labelled else None,
    )


def head_interactions(
    checkpoint: Checkpoint, encoding: Encoding, head: Head, label: Label = None, *, pruned: Iterable[Head] = ()
) -> HeadInteractions:
    """How the removal of one head changes what each other head is worth, for one example.

    Args:
        checkpoint: The model; it is left as it is.
        encoding: The example.
        head: The chosen head.
        label: What should be predicted; what is predicted if None.
        pruned: Heads that are switched off beforehand.

    Raises:
        SelectionError: If there is no such head or label.
    """
    ((layer, number),) = check_heads([head], checkpoint.n_layers, checkpoint.n_heads)
    sweep = Sweep(checkpoint, encoding, label, pruned)
    single = single_removals(sweep.gates)
    pair = single.clone()
    pair[:, layer, number] = 0

    def found(losses: NDArray[np.float64]) -> HeadInteractions:
        both = losses.reshape(2, checkpoint.n_layers, checkpoint.n_heads)
        return HeadInteractions((layer, number), *(both - sweep.base_loss))

    return found(sweep.losses(torch.cat((single, pair)), lambda losses: progress.offer(found(losses))))


def _orders(
    checkpoint: Checkpoint,
    sweeps: list[Sweep],
    labels: list[Label],
    order: Order | Sequence[Head],
    removed: NDArray[np.int64],
    runs: int,
    seed: int,
) -> tuple[str, list[tuple[Head, ...]]]:
    heads = checkpoint.heads
    if not isinstance(order, str):
        given = tuple((int(layer), int(head)) for layer, head in order)
        if len(given) != len(heads) or check_heads(given, checkpoint.n_layers, checkpoint.n_heads) != set(heads):
            raise SelectionError(
                f"The order must name each of the {len(heads)} heads once; it has {len(given)} entries."
            )
        return "given", [given]
    if order == "random":
        shuffle = np.random.default_rng(seed)
        return order, [tuple(heads[n] for n in shuffle.permutation(len(heads))) for _ in range(runs)]
    if order == "greedy":
        return order, [tuple(_greedy(checkpoint, sweeps, removed))]
    if order not in get_args(ImportanceMethod):
        raise SelectionError(f"There is no order {order[:60]!r}; choose {', '.join(get_args(Order))}.")
    encodings = [sweep.encoding for sweep in sweeps]
    by_importance = ranking(head_importance(checkpoint, encodings, labels, method=order))
    return order, [tuple(head for head in by_importance if head in heads)]


def _greedy(checkpoint: Checkpoint, sweeps: list[Sweep], removed: NDArray[np.int64]) -> Iterator[Head]:
    gone: list[Head] = []
    for point, wanted in enumerate(removed[1:]):
        # With fewer heads left each sweep is shorter.
        before, after = (1 - (1 - gone / (len(removed) - 1)) ** 2 for gone in (point, point + 1))
        with progress.part(before, after, f"{point + 1} of {len(removed) - 1}"):
            cost: NDArray[np.float64] = np.sum([sweep.ablations() for sweep in sweeps], axis=0)
        left = set(checkpoint.heads).difference(gone)
        now = [head for head in ranking(cost) if head in left][: wanted - len(gone)]
        yield from now
        gone += now
        if wanted < removed[-1]:
            sweeps = [Sweep(checkpoint, sweep.encoding, pruned=gone, loss=sweep.loss) for sweep in sweeps]


def _one_measure(losses: list[Loss]) -> Measure:
    measures: set[Measure] = {loss.measure for loss in losses}
    if len(measures) > 1:
        raise SelectionError("Some of these texts have a mask and others have none; their curves do not add up.")
    return measures.pop()
