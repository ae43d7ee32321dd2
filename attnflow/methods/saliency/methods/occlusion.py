"""Occlusion: each word is hidden by itself, and the model is run again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnflow.methods.saliency.method import Answer, Method

if TYPE_CHECKING:
    from attnflow.methods.score_function import Question


def _occlusion(question: Question) -> Answer:
    words = np.flatnonzero(question.words)
    values = np.zeros(len(question.words))
    values[words] = question.score - question.scores(np.eye(len(values), dtype=bool)[words])
    return Answer(values, notes={"baseline": question.baseline})


METHODS = (
    Method(
        name="occlusion",
        title="Occlusion",
        signed=True,
        about_target=True,
        measures="How much the score falls when one token is hidden and all others stay.",
        ignores="Tokens that can stand in for each other: each alone seems to matter little. Special tokens get 0.",
        source="Li et al. 2016, Understanding Neural Networks through Representation Erasure",
        compute=_occlusion,
        passes=float,
    ),
)
