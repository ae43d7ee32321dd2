"""Computes the parts of a run in this process, one after another."""

from __future__ import annotations

from collections.abc import Generator

from attnflow.corpus.corpus_part import Part
from attnflow.corpus.parts import Pace, Run


def compute(run: Run, pace: Pace) -> Generator[Part]:
    """The parts in their order, each computed unless it is kept already.

    Raises:
        UnsupportedArchitectureError: If the model cannot be recorded.
        SelectionError: If a part cannot be kept.
    """
    for number in range(len(run)):
        task = run.task(number)
        part = task.kept()
        if part is None:
            pace.tell()
            part = task.compute(run.checkpoint, pace.tell)
            pace.finished(len(task.texts))
        else:
            pace.found(len(task.texts))
        yield part
