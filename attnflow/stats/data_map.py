"""The data map of Swayamdipta et al. (2020), from the logits that a model gave its training texts epoch by epoch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import SelectionError
from attnflow.records.dynamics import DataMap, Dynamics, listed, texts_in_words
from attnflow.records.trace import is_whole

NEVER_LEARNT = 1000
"""The forgetfulness of a text that was never right, as in cartography."""
HALF = 0.9
"""An epoch that has a smaller share of the texts was broken off."""


def make_map(dynamics: Dynamics, burn_out: int | None = None, include_ci: bool = False) -> DataMap:
    """How each text was learnt.

    Over its epochs, `p` being the probability of the gold class: confidence `mean(p)`, variability `std(p)`,
    correctness the number of epochs with the gold class on top, forgetfulness the number of changes from right to wrong
    (1000 if never right), threshold closeness `confidence (1 - confidence)`; as cartography's `train_dy_filtering.py`.

    An epoch with fewer than 90 % of the texts is left out, for later epochs are surer, and texts with and without it
    could not be compared; so is a text that is left with fewer than two epochs. Both are noted.

    Args:
        dynamics: What was recorded.
        burn_out: Of the first how many epochs the map is; of all if None, or if there are no more.
        include_ci: Widen variability by the uncertainty of the variance, `sqrt(var + var^2 / (n - 1))` (Chang et al.
            2017).

    Raises:
        SelectionError: If fewer than two epochs are there or asked for.
    """
    if burn_out is not None and (not is_whole(burn_out) or burn_out < 2):
        raise SelectionError(f"burn_out is {str(burn_out)[:60]!r}; give a whole number of epochs, 2 or more.")
    recorded, notes = dynamics.recorded, list(dynamics.notes)
    n_texts = len(dynamics.guid)
    whole = recorded.sum(0) >= HALF * n_texts
    for epoch, count in zip(np.array(dynamics.epochs)[~whole].tolist(), recorded.sum(0)[~whole].tolist(), strict=True):
        notes.append(f"Epoch {epoch} has {count:,} of {n_texts:,} texts: it was broken off, and is left out.")
    epochs = tuple(np.array(dynamics.epochs)[whole].tolist())
    if len(epochs) < 2:
        told = f" ({' '.join(notes)})" if notes else ""
        raise SelectionError(
            f"{len(epochs)} whole epoch{'s' * (len(epochs) != 1)} of {len(dynamics.epochs)} can be used{told}; "
            "a data map needs two to show how texts change; record more."
        )
    recorded = recorded[:, whole]
    if burn_out is not None and burn_out > len(epochs):
        notes.append(f"burn_out is {burn_out}, and there are {len(epochs)} epochs: all count.")
    counts = recorded & (np.arange(len(epochs)) < (burn_out or len(epochs)))
    kept = counts.sum(1) >= 2
    if not kept.all():
        names = [guid for guid, good in zip(dynamics.guid, kept.tolist(), strict=True) if not good]
        notes.append(
            f"Left out, with fewer than two epochs: {len(names):,} of {texts_in_words(n_texts)}, {listed(names)}."
        )
    logits, gold = dynamics.logits[kept][:, whole], dynamics.gold[kept]
    recorded, counts = recorded[kept], counts[kept]
    fewer = int((recorded.sum(1) < len(epochs)).sum())
    if fewer:
        notes.append(f"Measured by fewer epochs, for it lacks some: {fewer:,} of {texts_in_words(len(gold))}.")
    probability, margin = _of_gold(logits, gold)
    right = recorded & (np.argmax(np.where(recorded[..., None], logits, 0), -1) == gold[:, None])
    n = counts.sum(1)
    mean = np.where(counts, probability, 0).sum(1) / n
    variance = np.where(counts, (probability - mean[:, None]) ** 2, 0).sum(1) / n
    return DataMap(
        guid=tuple(guid for guid, good in zip(dynamics.guid, kept.tolist(), strict=True) if good),
        epochs=epochs,
        gold=gold,
        confidence=mean,
        variability=np.sqrt(variance + variance**2 / (n - 1)) if include_ci else np.sqrt(variance),
        correctness=(right & counts).sum(1),
        forgetfulness=_forgetfulness(right, counts),
        threshold_closeness=mean * (1 - mean),
        margin=np.where(counts, margin, 0).sum(1) / n,
        counted=n,
        gold_probability=probability,
        right=right,
        notes=tuple(notes),
    )


def _of_gold(logits: NDArray[np.float64], gold: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`[N, E]` twice: the probability of the gold class, and its logit less the largest other."""
    place = np.broadcast_to(gold[:, None, None], (*logits.shape[:2], 1))
    own = np.take_along_axis(logits, place, -1)
    shifted = logits - logits.max(-1, keepdims=True)
    probability = np.exp(np.take_along_axis(shifted, place, -1)[..., 0]) / np.exp(shifted).sum(-1)
    others = logits.copy()
    np.put_along_axis(others, place, -np.inf, -1)
    return probability, own[..., 0] - others.max(-1)


def _forgetfulness(right: NDArray[np.bool_], counts: NDArray[np.bool_]) -> NDArray[np.int64]:
    """`[N]`: changes from right to wrong over the epochs that count."""
    learnt, forgotten = np.zeros(len(right), np.bool_), np.zeros(len(right), np.int64)
    ever = (right & counts).any(1)
    for epoch in range(right.shape[1]):
        here = counts[:, epoch]
        forgotten += here & learnt & ~right[:, epoch]
        learnt = np.where(here, right[:, epoch], learnt)
    return np.where(ever, forgotten, NEVER_LEARNT)
