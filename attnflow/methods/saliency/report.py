"""Everything about one text: what all methods say, how faithful each is, how far they agree, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import SelectionError, UnsupportedArchitectureError
from attnflow.methods.saliency.agreement import agreement
from attnflow.methods.saliency.erasure import Faithfulness, measure
from attnflow.methods.saliency.explain import Saliency, answer
from attnflow.methods.saliency.methods import METHODS
from attnflow.methods.score_function import ask
from attnflow.records.trace import Encoding, Head


@dataclass(frozen=True)
class Report:
    """What all methods say about one score of one checkpoint on one text."""

    answers: tuple[Saliency, ...]
    """`[M]`"""
    faithfulness: Faithfulness | None
    """None if there is no score."""
    agreement: NDArray[np.float64]
    """`[M, M]`"""
    target: str | None
    against: str | None
    missing: str = ""
    """Why there is no score to explain, so that only methods that need none answered."""
    refused: tuple[str, ...] = ()
    """Titles of the methods that have no rule for one of the model's operations, and so do not answer."""

    @property
    def nbytes(self) -> int:
        """Memory in bytes, about."""
        return self.agreement.nbytes + sum(one.values.nbytes for one in self.answers) + 4000

    @property
    def verdict(self) -> str:
        """One line: which explanation stands up best on this input, and which does not beat random."""
        left_out = f" No rule for this model: {', '.join(self.refused)}." if self.refused else ""
        return self._measured + left_out

    @property
    def _measured(self) -> str:
        if self.faithfulness is None:
            return "There is no prediction whose change would tell which explanation to trust."
        measured = self.faithfulness
        titles = [one.method.title for one in self.answers]
        best = int(np.argmax(measured.merit))
        lost = [title for title, beats in zip(titles, measured.beats_random, strict=True) if not beats]
        if np.ptp(np.concatenate((measured.merit, measured.random_merit))) == 0:
            return "Every ranking of this text's words does the same, so none can be told from another."
        if len(lost) == len(titles):
            return "On this input no explanation beats a random ranking of the words; trust none of them here."
        line = f"On this input {titles[best]} stands up best."
        return f"{line} No better than random: {', '.join(lost)}." if lost else f"{line} All beat a random ranking."


def report(
    checkpoint: Checkpoint,
    encoding: Encoding,
    *,
    target: str | int | None = None,
    against: str | int | None = None,
    position: int | None = None,
    pruned: Iterable[Head] = (),
) -> Report:
    """Let every method answer, and measure the answers.

    Args:
        checkpoint: A checkpoint; if it has no such score, only methods that need none answer.
        encoding: A pair encoded for this checkpoint.
        target: As in `saliency`.
        against: A second target: then the difference of the scores is explained; faithfulness is that of the target.
        position: As in `saliency`.
        pruned: Heads that are switched off.

    Raises:
        AttnflowError: As `saliency` does.
    """
    pruned = tuple(pruned)
    missing = ""
    try:
        question = ask(checkpoint, encoding, target, against=against, position=position, pruned=pruned)
    except SelectionError as error:
        missing = str(error)
        question = replace(ask(checkpoint, encoding, pruned=pruned, needs_target=False), target=None)
    usable = [method for method in METHODS.values() if question.target or not method.about_target]
    given: list[Saliency] = []
    refused: list[str] = []
    for method in usable:
        try:
            given.append(answer(question, method))
        except UnsupportedArchitectureError:
            refused.append(method.title)
    answers = tuple(given)
    return Report(
        answers=answers,
        faithfulness=measure(question, {one.method.name: one.values for one in answers}) if question.target else None,
        agreement=agreement(answers, question.words),
        target=question.target.name if question.target else None,
        against=question.against.name if question.against else None,
        missing=missing,
        refused=tuple(refused),
    )
