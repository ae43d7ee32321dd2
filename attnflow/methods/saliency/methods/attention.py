"""Explanations by attention alone: rollout, and influence in the attention graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnflow.methods.saliency.method import Answer, Method
from attnflow.stats.attention_graph import attention_graph, influence
from attnflow.stats.rollout import rollout_of_root

if TYPE_CHECKING:
    from attnflow.methods.score_function import Question

TAU = 0.1


def _rollout(question: Question) -> Answer:
    return Answer(rollout_of_root(question.trace, question.root), total=1.0)


def _influence(question: Question) -> Answer:
    graph = attention_graph(question.trace, TAU, root=question.root)
    return Answer(influence(graph)[0].astype(np.float64), notes={"tau": TAU})


_IGNORES = "Which class is explained, what the tokens say, and everything that is not attention."
METHODS = (
    Method(
        name="attention_rollout",
        title="Attention rollout",
        signed=False,
        about_target=False,
        measures="How much of the vector that is read at the end would be a token's, if attention only mixed vectors.",
        ignores=_IGNORES,
        source="Abnar and Zuidema 2020, Quantifying Attention Flow in Transformers",
        compute=_rollout,
    ),
    Method(
        name="influence",
        title="Attention influence",
        signed=False,
        about_target=False,
        measures="How many heads attend to a token on the way to the root, later layers counting more.",
        ignores=_IGNORES,
        source="DeRose et al. 2020, Attention Flows, eq. 4",
        compute=_influence,
    ),
)
