"""How badly a checkpoint does on an example: the loss of its label, or how far the root's embedding moves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import SelectionError
from attnflow.methods.target import Target, choose_target
from attnflow.records.trace import Encoding
from attnflow.runtime import capabilities
from attnflow.runtime.root import root_of, scored_position

Label = str | int | float | None
"""A class by name or number, a token of a language model, the true value of a regression; None: the prediction."""
Quantity = Literal["loss", "root-shift"]
Measure = Literal["probability", "value", "root-shift"]


def has_task(checkpoint: Checkpoint, encoding: Encoding) -> bool:
    """Whether the checkpoint predicts something of this text: a trained head, and a mask where one is needed."""
    if not checkpoint.head.trained:
        return False
    return checkpoint.head.kind != "masked-lm" or scored_position(checkpoint, encoding) is not None


def reads_one_position(checkpoint: Checkpoint, encoding: Encoding) -> bool:
    """Whether after the last attention only the root matters; not so if several positions are pooled or compared."""
    if checkpoint.head.trained and checkpoint.head.kind == "question-answering":
        return False  # the probability of an end is a share of those of all tokens
    return isinstance(root_of(checkpoint, encoding), int) and capabilities.reads_one_position(
        checkpoint, task=has_task(checkpoint, encoding)
    )


@dataclass(frozen=True)
class Loss:
    """The loss of one example, to be taken of any pass over it."""

    position: int | None
    """Token that the loss is read from; None where the whole text has one set of scores."""
    target: Target | None
    """The score that the loss is of; None without a task."""
    truth: float | None = None
    """The true value of a regression."""
    root: torch.Tensor | None = None
    """`[D]`: without a task, the root's embedding in the untouched model."""

    @property
    def quantity(self) -> Quantity:
        """What the numbers are: a loss, or the shift of the root's embedding in units of its length."""
        return "loss" if self.root is None else "root-shift"

    def of(self, output: torch.Tensor) -> torch.Tensor:
        """`[B]`, differentiable, of what `run_model` gives for `B` passes over the example.

        Classes and tokens: `-log p`, in nats. Regression: the squared error, or without a true value the negative
        score. No task: `|root' - root| / |root|`.
        """
        if self.target is None:
            assert self.root is not None, "without a target there is a root"
            return torch.linalg.vector_norm(output[:, self.position] - self.root, dim=-1) / self.root.norm()
        if self.truth is not None:
            return (self.target.score(output) - self.truth) ** 2
        return -self.target.log_probability(output)

    @property
    def has_classes(self) -> bool:
        """Whether a prediction is right or wrong."""
        return self.target is not None and self.target.problem != "regression"

    @property
    def measure(self) -> Measure:
        """What `score` is."""
        return "root-shift" if self.target is None else "probability" if self.has_classes else "value"

    def score(self, output: torch.Tensor) -> torch.Tensor:
        """`[B]`: the probability of the target, the value of a regression or, without a task, the root's shift."""
        if self.target is None:
            return self.of(output)
        found = self.target.log_probability(output)
        return found.exp() if self.has_classes else found

    def correct(self, output: torch.Tensor) -> torch.Tensor:
        """`[B]`: whether the class or token that scores highest is the target; for several labels, if it is over 0."""
        assert self.target is not None, "asked only where there are classes"
        return self.target.wins(output)


def choose_loss(checkpoint: Checkpoint, encoding: Encoding, label: Label, output: torch.Tensor) -> Loss:
    """The loss of one example.

    Args:
        checkpoint: The model.
        encoding: The example.
        label: What should be predicted; None for what is predicted.
        output: What `run_model` gives for the example in the untouched model, without the batch axis.

    Raises:
        SelectionError: If there is no such label, or a label but no task.
    """
    if not has_task(checkpoint, encoding):
        if label is not None:
            lack = "no mask to fill in this text" if checkpoint.head.trained else "no trained task head"
            raise SelectionError(
                f"{checkpoint.name} has {lack}, so it cannot be asked for {label!r}; leave labels out."
            )
        position = root_of(checkpoint, encoding)
        assert isinstance(position, int), "several tokens are read only by a trained head"
        return Loss(position, None, root=output.detach()[position])
    if checkpoint.head.problem == "regression" and label is not None:
        if isinstance(label, bool) or not isinstance(label, int | float) or not math.isfinite(label):
            raise SelectionError(f"The label is {label!r}; {checkpoint.name} predicts a number, so give a number.")
        return Loss(None, choose_target(checkpoint, encoding, 0, logits=output.detach()), truth=float(label))
    target = choose_target(checkpoint, encoding, label, logits=output.detach())
    return Loss(target.position, target)


def examples(
    encodings: Encoding | Sequence[Encoding], labels: Label | Sequence[Label]
) -> tuple[list[Encoding], list[Label]]:
    """Encodings and labels as two lists of one length; a single encoding may come without a list.

    Raises:
        SelectionError: If there is nothing, or not one label for each encoding.
    """
    pairs = [encodings] if isinstance(encodings, Encoding) else list(encodings)
    each: list[Label]
    if labels is None:
        each = [None] * len(pairs)
    else:
        each = [labels] if isinstance(labels, str | int | float) else list(labels)
    if not pairs:
        raise SelectionError("There are no examples; give at least one encoded pair.")
    if len(each) != len(pairs):
        raise SelectionError(f"There are {len(each)} labels for {len(pairs)} pairs; give one for each.")
    return pairs, each
