"""Everything about one text: what all methods say, how faithful each is, how far they agree, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import SelectionError, UnsupportedArchitectureError
from attnflow.methods.saliency.erasure import measure
from attnflow.methods.saliency.explain import answer
from attnflow.methods.saliency.methods import METHODS
from attnflow.methods.saliency.rank_correlation import rank_correlations
from attnflow.methods.saliency.ranked import units_of
from attnflow.methods.saliency.results import Report, Saliency
from attnflow.methods.score_function import ask, words_of
from attnflow.records.trace import Encoding, Head
from attnflow.records.words import Unit


def report(
    checkpoint: Checkpoint,
    encoding: Encoding,
    *,
    target: str | int | None = None,
    against: str | int | None = None,
    position: int | None = None,
    pruned: Iterable[Head] = (),
    methods: Iterable[str] | None = None,
    unit: Unit = "word",
) -> Report:
    """Let every method answer, and measure the answers.

    Args:
        checkpoint: A checkpoint; if it has no such score, only methods that need none answer.
        encoding: A pair encoded for this checkpoint.
        target: As in `saliency`.
        against: A second target: then the difference of the scores is explained; faithfulness is that of the target.
        position: As in `saliency`.
        pruned: Heads that are switched off.
        methods: Names of the methods to ask; all if None.
        unit: What faithfulness and rank correlation rank: words, or pieces.

    Raises:
        AttnflowError: As `saliency` does.
    """
    pruned = tuple(pruned)
    units = units_of(encoding.tokens, words_of(checkpoint, encoding), unit)
    missing = ""
    try:
        question = ask(checkpoint, encoding, target, against=against, position=position, pruned=pruned)
    except SelectionError as error:
        missing = str(error)
        question = replace(ask(checkpoint, encoding, pruned=pruned, needs_target=False), target=None)
    asked = set(METHODS) if methods is None else set(methods)
    usable = [
        method for method in METHODS.values() if method.name in asked and (question.target or not method.about_target)
    ]
    given: list[Saliency] = []
    refused: list[str] = []
    for method in usable:
        try:
            given.append(answer(question, method))
        except UnsupportedArchitectureError:
            refused.append(method.title)
    answers = tuple(given)
    values = {one.method.name: one.values for one in answers}
    return Report(
        answers=answers,
        faithfulness=measure(question, values, unit=unit) if question.target else None,
        rank_correlation=rank_correlations(answers, units),
        target=question.target.name if question.target else None,
        against=question.against.name if question.against else None,
        missing=missing,
        left_out=tuple(method.title for method in METHODS.values() if method.name not in asked),
        refused=tuple(refused),
    )
