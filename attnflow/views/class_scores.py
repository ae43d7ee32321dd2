"""What a model predicts of a text, as the page and programs are told it."""

from __future__ import annotations

from attnflow.records.trace import Trace
from attnflow.views.payloads import ClassScore
from attnflow.views.rounding import rounded, rounded_share


def class_scores(trace: Trace) -> list[ClassScore] | None:
    """Score and probability of every class, or None without a trained classification head."""
    if trace.scores is None:
        return None
    probabilities = [None] * len(trace.labels) if trace.probabilities is None else trace.probabilities
    return [
        {"label": label, "score": rounded(score), "probability": None if p is None else rounded_share(p)}
        for label, score, p in zip(trace.labels, trace.scores, probabilities, strict=True)
    ]
