"""Trains a classifier until it is no longer better on sentences that it does not learn from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import nll_loss

from attnflow import progress
from attnflow.methods.probing.classifiers import Classifier, Kind, untrained
from attnflow.methods.probing.examples import Batch, Examples
from attnflow.records.parses import TrainingCurve
from attnflow.stats.proportion import Proportion

MOST_EPOCHS = 30
GAIN = 0.002
"""By what share of itself the loss must sink in an epoch that helps."""
SMALLER_STEP = 0.3
"""What the step is multiplied with after one that does not."""
PATIENCE = 3
"""Of these, after how many it ends."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A classifier, and how it came to be."""

    classifier: Classifier
    curve: TrainingCurve


def train(
    kind: Kind,
    learnt_from: Examples,
    judged_on: Examples,
    seed: int,
    *,
    most_epochs: int = MOST_EPOCHS,
    done: Callable[[float], object] = lambda share: None,
) -> Trained:
    """Train a classifier by Adam on the mean of `-log p(governor | word)`; what it was best with on the others is kept.

    Args:
        kind: Which classifier.
        learnt_from: The sentences to learn from.
        judged_on: The sentences that tell when to stop.
        seed: Fixes the weights at first and the order of sentences, and so, with one number of threads, every bit.
        most_epochs: Times that all sentences are gone through, at most.
        done: Is told how much of the most that it can take is done.
    """
    generator = np.random.default_rng(seed)
    weights = torch.Generator().manual_seed(seed)
    width = learnt_from.vectors.shape[1]
    with torch.enable_grad():
        classifier = untrained(kind, learnt_from.attention.n_maps, width, weights)
        optimizer = torch.optim.Adam(classifier.parameters(), lr=classifier.rate)
        losses, others, shares = list[float](), list[float](), list[float]()
        best, kept, poor = math.inf, _copied(classifier), 0
        for epoch in range(most_epochs):
            losses.append(_epoch(classifier, optimizer, learnt_from, generator))
            loss, right = judge(classifier, judged_on)
            others.append(loss)
            shares.append(right.share)
            done((epoch + 1) / most_epochs)
            helped = loss < best * (1 - GAIN)
            if loss < best:
                best, kept = loss, _copied(classifier)
            if helped:
                continue
            poor += 1
            if poor == PATIENCE:
                break
            for group in optimizer.param_groups:
                group["lr"] *= SMALLER_STEP
    classifier.load_state_dict(kept)
    curve = TrainingCurve(np.array(losses), np.array(others), np.array(shares), int(np.argmin(others)))
    return Trained(classifier.requires_grad_(False), curve)


def judge(classifier: Classifier, examples: Examples) -> tuple[float, Proportion]:
    """The mean of `-log p(governor | word)`, and how many governors are right of those that count."""
    total, words, right, cases = 0.0, 0, 0, 0
    with torch.no_grad():
        for batch in examples.batches():
            progress.go_on()
            found = classifier.log_probabilities(batch)
            total += float(loss_of(found, batch)) * int(batch.learnt.sum())
            words += int(batch.learnt.sum())
            right += int(((found.argmax(-1) == batch.target) & batch.cases).sum())
            cases += int(batch.cases.sum())
    return total / max(1, words), Proportion(right, cases)


def loss_of(log_probabilities: torch.Tensor, batch: Batch) -> torch.Tensor:
    """The mean of `-log p(governor | word)` over the words that are learnt from; 0 of none."""
    if not bool(batch.learnt.any()):
        return log_probabilities.new_zeros(())
    return nll_loss(log_probabilities[batch.learnt], batch.target[batch.learnt])


def probabilities(classifier: Classifier, batch: Batch) -> NDArray[np.float64]:
    """`[B, W, W + 1]`: p(governor | word), the root last."""
    with torch.no_grad():
        return classifier.log_probabilities(batch).double().softmax(-1).numpy()


def _epoch(
    classifier: Classifier, optimizer: torch.optim.Optimizer, examples: Examples, generator: np.random.Generator
) -> float:
    """Go through all sentences once; the mean loss on the way."""
    total, words = 0.0, 0
    for batch in examples.batches(generator):
        progress.go_on()
        loss = loss_of(classifier.log_probabilities(batch), batch)
        if not loss.requires_grad:
            continue
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        count = int(batch.learnt.sum())
        total += float(loss.detach()) * count
        words += count
    return total / max(1, words)


def _copied(classifier: Classifier) -> dict[str, torch.Tensor]:
    return {name: values.detach().clone() for name, values in classifier.state_dict().items()}
