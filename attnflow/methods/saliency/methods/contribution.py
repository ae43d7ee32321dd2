"""Hidden Token Attribution of the root: on which tokens the heads' outputs that the score is read from depend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attnflow.methods.saliency.method import Answer, Method
from attnflow.records.estimates import c4

if TYPE_CHECKING:
    from attnflow.methods.score_function import Question

PROBES = 16


def _contribution(question: Question) -> Answer:
    """One row of `hidden_token_attribution`, over all heads of the last layer, backwards from random directions.

    For one row it is cheaper to pull directions of the output back than to push changes of every token forwards:
    `E ||v J||^2` over Gaussian `v` is the squared Frobenius norm of every token's block at once.
    """
    squares = question.dependence_of_root(PROBES)
    norms = np.sqrt(squares.mean(axis=0))
    total = norms.sum()
    if total == 0:  # every head of the last layer is switched off
        return Answer(norms)
    return Answer(norms / total, total=1.0, notes={"probes": PROBES}, standard_error=standard_error(squares))


def standard_error(squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """`[T]`: of the shares `sqrt(mean y_i) / sum_k sqrt(mean y_k)`, from the `y` of each probe, `[P, T]`.

    All tokens see the same probes, so their errors go together, and most of what they share cancels in a share: the
    jackknife leaves out one probe after the other and sees how the shares move (Efron, *The Jackknife*, 3.1).
    """
    n = len(squares)
    norms = np.sqrt(squares.sum(axis=0) - squares)
    without = norms / norms.sum(axis=1, keepdims=True)
    return np.sqrt(n - 1) * without.std(axis=0) / c4(n)


METHODS = (
    Method(
        name="hidden_token_attribution",
        title="Hidden Token Attribution",
        signed=False,
        about_target=False,
        measures="How strongly the last layer's heads, where the score is read, change with a token (an estimate).",
        ignores="Which class is explained, for or against, and what the head of the model makes of these outputs.",
        source="Pascual et al. 2021, Telling BERT's Full Story, eq. 1",
        compute=_contribution,
        passes=lambda size: 3.0 * PROBES,
    ),
)
