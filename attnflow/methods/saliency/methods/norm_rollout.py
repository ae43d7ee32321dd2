"""Norm rollout: how long a part of each layer's output is a token's, with residual and layer norm, rolled out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnflow.methods.saliency.method import Answer, Method
from attnflow.stats.rollout import rolled_out

if TYPE_CHECKING:
    from attnflow.methods.score_function import Question


def _norm_rollout(question: Question) -> Answer:
    """GlobEnc's norms (its N_ENC) of each layer, rolled out from the root.

    The vector that leaves a layer for token `i` is a sum of parts, one for each source `j`: what all heads write of it,
    `sum_h alpha_hij v_hj W_h`, the vector that entered for `i` itself, and parts of no source: biases and the
    feed-forward part. Each goes through the normalisations with their true scale (Kobayashi et al. 2021; the
    second one of the layer as in Modarressi et al. 2022), and counts with the length it leaves with.

    Where the normalisations stand is the architecture's: after the sums as in BERT, in parts of the sums as in Gemma 2,
    or, with pre-norm, on no part's way, since the residual stream goes past them. Departure: both papers treat
    BERT alone, which needs none. Rows are divided by their sum and multiplied without an identity, as the
    residual connection is in them.
    """
    from attnflow.methods.saliency.context_mixing import part_lengths  # torch, which the names of methods do without

    lengths = part_lengths(question.checkpoint, question.encoding, question.pruned)
    return Answer(rolled_out(lengths, question.root), total=1.0)


METHODS = (
    Method(
        name="norm_rollout",
        title="Norm rollout",
        signed=False,
        about_target=False,
        measures="How long a part of the vectors that leave each layer is a token's, through attention, residual and "
        "normalisation, rolled out to the vector that is read.",
        ignores="Which class is explained, the feed-forward parts, and directions: parts that cancel count in full.",
        source="Modarressi et al. 2022, GlobEnc, on norms of Kobayashi et al. 2021, Incorporating Residual and "
        "Normalization Layers",
        compute=_norm_rollout,
    ),
)
