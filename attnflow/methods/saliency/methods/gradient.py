"""Input gradient: how the score changes when the vector of a token changes a little."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnflow.methods.saliency.method import Answer, Method

if TYPE_CHECKING:
    from attnflow.methods.score_function import Question


def _times_input(question: Question) -> Answer:
    hidden, _, gradient = question.gradients()
    return Answer(np.einsum("td,td->t", hidden[0], gradient[0], dtype=np.float64))


def _norm(question: Question) -> Answer:
    _, _, gradient = question.gradients()
    return Answer(np.linalg.norm(gradient[0].astype(np.float64), axis=-1))


METHODS = (
    Method(
        name="input_gradient",
        title="Gradient × input",
        signed=True,
        about_target=True,
        measures="How much the score would fall, to first order, if the vector of a token shrank to nothing.",
        ignores="Everything beyond the first order: where the model is saturated, an important token gets little.",
        source="Simonyan et al. 2013, Deep Inside Convolutional Networks; T3-Vis, A.2",
        compute=_times_input,
    ),
    Method(
        name="input_gradient_norm",
        title="Gradient norm",
        signed=False,
        about_target=True,
        measures="How strongly the score reacts to a small change of a token's vector, in whatever direction.",
        ignores="Whether the token speaks for or against the target, and how large its own vector is.",
        source="Li et al. 2016, Visualizing and Understanding Neural Models in NLP",
        compute=_norm,
    ),
)
