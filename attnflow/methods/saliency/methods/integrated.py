"""Integrated gradients: gradients averaged on the way from a text without words to the text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attnflow.methods.saliency.method import Answer, Method

if TYPE_CHECKING:
    from attnflow.methods.score_function import Question

TOLERANCE = 0.01
"""Largest completeness error, as a share of the change of the score, at which no more steps are taken."""
STEPS = (16, 32, 64, 128, 256)


def _integrated_gradients(question: Question) -> Answer:
    text, blank = question.hidden, question.blank
    start, end = question.scores(np.broadcast_to([[True], [False]], (2, len(text))))
    change = end - start
    steps, *finer = (question.steps,) if question.steps else STEPS
    values = _values(question, blank, text, steps)
    while finer and abs(change - values.sum()) > TOLERANCE * abs(change):
        steps = finer.pop(0)
        values = _values(question, blank, text, steps)
    return Answer(
        values, total=float(change), notes={"steps": steps, "baseline": question.baseline, "baseline_score": start}
    )


def _values(
    question: Question, start: NDArray[np.float32], end: NDArray[np.float32], steps: int
) -> NDArray[np.float64]:
    """`[T]`: the mean gradient times the way."""
    return (_mean_gradient(question, start, end, steps) * (end.astype(np.float64) - start)).sum(axis=-1)


def _mean_gradient(
    question: Question, start: NDArray[np.float32], end: NDArray[np.float32], steps: int
) -> NDArray[np.float64]:
    """`[T, D]`: the integral of the gradient along the straight line, by Gauss-Legendre quadrature."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    places = ((nodes + 1) / 2).astype(np.float32)[:, None, None]
    _, _, gradients = question.gradients((start + places * (end - start)).astype(np.float32, copy=False))
    return np.einsum("s,std->td", weights / 2, gradients)


METHODS = (
    Method(
        name="integrated_gradients",
        title="Integrated gradients",
        signed=True,
        about_target=True,
        measures="How the change of the score, from a text with all words hidden to the real one, adds up from tokens.",
        ignores="Other ways than the straight line between the two, and it depends on what stands for a hidden word.",
        source="Sundararajan et al. 2017, Axiomatic Attribution for Deep Networks",
        compute=_integrated_gradients,
        passes=lambda size: 3.0 * sum(STEPS[:2]),
    ),
)
