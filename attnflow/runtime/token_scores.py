"""What a head that scores each token says of a text, as records of arrays, and the roots that follow from it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.records.root import Root
from attnflow.records.token_scores import TokenClasses, TokenScores, answer_ends, softmax
from attnflow.records.trace import Encoding
from attnflow.runtime.root import root_of


def token_scores(checkpoint: Checkpoint, encoding: Encoding, logits: torch.Tensor) -> TokenScores:
    """What a trained head that scores each token (`TaskHead.scores_tokens`) says of a text.

    Args:
        checkpoint: The model.
        encoding: The text.
        logits: `[T, C]` that the model gave; of a batch perhaps with rows beyond the end of the text, which are left.
    """
    scores = logits[: len(encoding.tokens)].to(torch.float32, copy=True).cpu().numpy()
    scores.flags.writeable = False
    if checkpoint.head.kind == "question-answering":
        context = encoding.tokens.sentence == 1  # the second sentence, as it is read first
        return answer_ends(scores, context, n_before=encoding.tokens.n_source or 0)
    return TokenClasses(checkpoint.head.labels, scores, softmax(scores, axis=1))


def roots_of(checkpoint: Checkpoint, encodings: Sequence[Encoding], logits: torch.Tensor | None) -> list[Root]:
    """The root of each text of a batch.

    Args:
        checkpoint: The model.
        encodings: The texts.
        logits: `[N, T, C]` of a head that scores each token, or None.
    """
    if logits is None:
        return [root_of(checkpoint, encoding) for encoding in encodings]
    return [
        root_of(checkpoint, encoding, token_scores(checkpoint, encoding, own))
        for encoding, own in zip(encodings, logits, strict=True)
    ]
