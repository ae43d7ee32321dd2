"""Value Zeroing: how what leaves a layer changes without the value of a token, rolled out over the layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnflow.methods.saliency.method import Answer, Method
from attnflow.stats.rollout import rolled_out

if TYPE_CHECKING:
    from attnflow.methods.score_function import Question


def _value_zeroing(question: Question) -> Answer:
    """Value Zeroing of each layer (Mohebbi et al. 2023), rolled out from the root.

    Rows are divided by their sum and multiplied without an identity, as the residual connection is in what leaves a
    layer. Departures: none; a row in which nothing changes anything, as where all heads are off, owes all to itself.
    """
    from attnflow.methods.saliency.context_mixing import value_changes  # torch, which the names of methods do without

    changes = value_changes(question.checkpoint, question.encoding, question.pruned, question.root)
    return Answer(rolled_out(changes, question.root), total=1.0)


METHODS = (
    Method(
        name="value_zeroing",
        title="Value Zeroing",
        signed=False,
        about_target=False,
        measures="How much the vectors that leave each layer turn when a token's values are zeroed, rolled out to the "
        "vector that is read.",
        ignores="Which class is explained, and what zeroing in one layer does to the layers above it: these are put "
        "together by multiplication alone.",
        source="Mohebbi et al. 2023, Quantifying Context Mixing in Transformers",
        compute=_value_zeroing,
        passes=lambda size: 1 + size / 2,
    ),
)
