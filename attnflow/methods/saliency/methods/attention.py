"""Explanations by attention alone: rollout, and influence in the graphs of its edges and of contributions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from attnflow.methods.saliency.method import Answer, Method
from attnflow.records.trace import Weights
from attnflow.stats.attention_graph import attention_graph, influence
from attnflow.stats.rollout import rollout_of_root

if TYPE_CHECKING:
    from attnflow.methods.score_function import Question

TAU = 0.1


def _rollout(question: Question) -> Answer:
    return Answer(rollout_of_root(question.trace, question.root), total=1.0)


def _influence(question: Question, weights: Weights = "attention") -> Answer:
    from attnflow.methods.edges import run_with_weights  # torch, which the names of methods do without

    trace = run_with_weights(question.checkpoint, question.encoding, question.trace, weights)
    graph = attention_graph(trace, TAU, root=question.root)
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
    Method(
        name="influence_norm",
        title="Influence by norm",
        signed=False,
        about_target=False,
        measures="The same, where a head counts that writes a long vector for a token, as a share of all it writes.",
        ignores="Which class is explained, in which direction heads write, and everything that is not attention.",
        source="DeRose et al. 2020, eq. 4, on edges of Kobayashi et al. 2020, Attention is Not Only a Weight",
        compute=partial(_influence, weights="norm"),
    ),
    Method(
        name="influence_previous_layer",
        title="Influence by contribution",
        signed=False,
        about_target=False,
        measures="The same, where a head counts whose output would change with a token as it enters the layer.",
        ignores="Which class is explained, in which direction outputs change, and everything that is not attention.",
        source="DeRose et al. 2020, eq. 4, on edges of Pascual et al. 2021, Telling BERT's Full Story, eq. 1",
        compute=partial(_influence, weights="previous_layer"),
        passes=lambda size: 30.0,
    ),
)
