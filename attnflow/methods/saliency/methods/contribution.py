"""Hidden Token Attribution of the root: on which tokens the heads' outputs that the score is read from depend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnflow.methods.saliency.method import Answer, Method

if TYPE_CHECKING:
    from attnflow.methods.score_function import Question

PROBES = 16


def _contribution(question: Question) -> Answer:
    """One row of `hidden_token_attribution`, over all heads of the last layer, backwards from random directions.

    For one row it is cheaper to pull directions of the output back than to push changes of every token forwards:
    `E ||v J||^2` over Gaussian `v` is the squared Frobenius norm of every token's block at once.
    """
    norms = question.dependence_of_root(PROBES)
    total = norms.sum()
    if total == 0:  # every head of the last layer is switched off
        return Answer(norms)
    return Answer(norms / total, total=1.0, notes={"probes": PROBES})


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
