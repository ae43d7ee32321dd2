"""Everything about one text: what all methods say, how faithful each is, how far they agree, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace

from attnflow import progress
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import SelectionError, UnsupportedArchitectureError
from attnflow.methods.saliency.erasure import measure, passes
from attnflow.methods.saliency.explain import answer
from attnflow.methods.saliency.methods import METHODS
from attnflow.methods.saliency.rank_correlation import rank_correlations
from attnflow.methods.saliency.ranked import units_of
from attnflow.methods.saliency.results import Faithfulness, Report, Saliency
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
    refused: dict[str, str] = {}

    def so_far(measured: Faithfulness | None = None, *, complete: bool = False) -> Report:
        """What is known by now."""
        return Report(
            answers=tuple(given),
            faithfulness=measured,
            rank_correlation=rank_correlations(given, units),
            target=question.target.name if question.target else None,
            against=question.against.name if question.against else None,
            missing=missing,
            left_out=tuple(method.title for method in METHODS.values() if method.name not in asked),
            refused=dict(refused),
            complete=complete,
            position=question.target.position if question.target else None,
        )

    work = [method.passes(len(units)) for method in usable]
    total = sum(work) + (passes(len(usable)) if question.target else 0)
    for number, method in enumerate(usable):
        progress.tell(f"{number} of {len(usable)} methods; now {method.title}", sum(work[:number]) / total)
        try:
            given.append(answer(question, method))
        except UnsupportedArchitectureError as error:
            refused[method.title] = str(error)
        if given:
            progress.offer(so_far())
    if question.target is None:
        return so_far(complete=True)
    values = {one.method.name: one.values for one in given}
    with (
        progress.part(sum(work) / total, 1),
        progress.taking(Faithfulness, lambda found: progress.offer(so_far(found)))
        if progress.taken(Report)
        else nullcontext(),
    ):
        return so_far(measure(question, values, unit=unit), complete=True)
