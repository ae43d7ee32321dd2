"""Answers what each token has to do with a score, by one method."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import NumberError, SelectionError
from attnflow.methods.saliency.method import Method
from attnflow.methods.saliency.methods import METHODS
from attnflow.methods.saliency.results import Saliency, on_scale
from attnflow.methods.score_function import Question, ask
from attnflow.records.trace import Encoding, Head

__all__ = ["Saliency", "answer", "find_method", "on_scale", "saliency"]


def saliency(
    checkpoint: Checkpoint,
    encoding: Encoding,
    *,
    target: str | int | None = None,
    method: str = "integrated_gradients",
    against: str | int | None = None,
    position: int | None = None,
    baseline: str | None = None,
    steps: int | None = None,
    pruned: Iterable[Head] = (),
) -> Saliency:
    """Say what each token has to do with a score, by one method.

    What is explained is the score (the logit), as a function of `hidden_states[0]`: the vector of each token as it
    enters the first layer, with word, position and sentence in it.

    Args:
        checkpoint: A checkpoint with a trained task head.
        encoding: A pair encoded for this checkpoint.
        target: Label or number of a class; for language models a token. What the checkpoint predicts if None.
        method: One of `METHODS`: see `methods/saliency/methods`.
        against: A second target: then the difference of the two scores is explained.
        position: Token whose prediction is meant, for heads that predict one for each token.
        baseline: What stands for a hidden word in integrated gradients and occlusion: `mask`, `mean` (of all word
            embeddings), `pad` or `zero`. The first of these that the tokenizer has if None.
        steps: Points of integrated gradients; as many as completeness within 1 % takes if None, at most 256.
        pruned: Heads that are switched off.

    Methods that do not ask which class is explained (`about_target`: rollouts, influence, contributions) need no score,
    so they answer for a checkpoint without a trained head, too.

    Returns:
        Values for every token, signed where the method can tell for from against, with the residual of what the
        method promises to add up.

    Raises:
        SelectionError: If there is no such method or target, or the checkpoint has no trained task head.
        TextError: If the text holds special tokens only.
        UnsupportedArchitectureError: If the architecture does not allow the method; the sentence says why.

    Example:
        >>> from attnflow import encode, load_checkpoint
        >>> checkpoint = load_checkpoint("demo/finetuned")
        >>> encoding = encode(checkpoint, "Anna lent Paul a book.", "Paul borrowed a book from Anna.")
        >>> found = saliency(checkpoint, encoding, target="supported", method="lrp")
        >>> found.values.shape == (len(encoding.tokens),) and abs(found.residual) < 1e-3
        True
    """
    chosen = find_method(method)
    question = ask(
        checkpoint,
        encoding,
        target,
        against=against,
        position=position,
        baseline=baseline,
        steps=steps,
        pruned=pruned,
        needs_target=chosen.about_target,
    )
    return answer(question, chosen)


def answer(question: Question, method: Method) -> Saliency:
    """Let a method answer a question; several methods share what they record of the model."""
    found = method.compute(question)
    if not np.isfinite(found.values).all():
        raise NumberError(
            f"{method.name} gives numbers that are not finite for {question.checkpoint.name}; choose another method."
        )
    return Saliency(
        method=method,
        tokens=question.encoding.tokens,
        values=found.values,
        target=question.target.name if question.target else None,
        against=question.against.name if question.against else None,
        total=found.total,
        bias_share=found.elsewhere,
        notes=found.notes,
        standard_error=found.standard_error,
    )


def find_method(name: str) -> Method:
    """Return a method by its name.

    Raises:
        SelectionError: If there is none.
    """
    if not isinstance(name, str) or name not in METHODS:
        raise SelectionError(f"There is no method {str(name)[:60]!r}; the methods are {', '.join(METHODS)}.")
    return METHODS[name]
