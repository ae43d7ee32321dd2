"""Layer-wise relevance propagation: the score handed back from layer to layer, with two sets of rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnflow.methods.saliency.method import Answer, Method

if TYPE_CHECKING:
    from attnflow.methods.saliency import relevance
    from attnflow.methods.score_function import Question


def _propagated(question: Question, rule: relevance.Attention) -> Answer:
    values, bias, score = question.relevance(rule)
    return Answer(values, total=score, elsewhere=bias)


METHODS = (
    Method(
        name="lrp",
        title="LRP (attention fixed)",
        signed=True,
        about_target=True,
        measures="Which tokens the score was carried from, layer by layer, given where the model looked.",
        ignores="Why the model looked there: attention weights are taken as given; biases take a share of their own.",
        source="Bach et al. 2015, On Pixel-Wise Explanations; Ali et al. 2022, XAI for Transformers",
        compute=lambda question: _propagated(question, "constant"),
    ),
    Method(
        name="attn_lrp",
        title="AttnLRP",
        signed=True,
        about_target=True,
        measures="Which tokens the score was carried from, those included that only steered where the model looked.",
        ignores="The constant term of the softmax made linear, so its values do not add up to the score.",
        source="Achtibat et al. 2024, AttnLRP",
        compute=lambda question: _propagated(question, "bilinear"),
    ),
)
