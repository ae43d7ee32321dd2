"""What `attnflow survey` does: one model or two over a collection of texts, kept in a folder, and the gist of it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attnflow.corpus.gold import match_labels
from attnflow.corpus.orders import Order, confusion, likely_mislabelled, most_different
from attnflow.corpus.survey import PART_SIZE, TooLong, survey
from attnflow.corpus.texts import open_texts
from attnflow.corpus.texts_file import save_texts
from attnflow.errors import SelectionError
from attnflow.records.shares import percent
from attnflow.records.survey import Survey
from attnflow.records.texts import Texts
from attnflow.runtime.load import load_checkpoint

_COLUMNS = ("text_a", "text_b", "label", "guid")
_SHOWN = 10
"""Texts of each order that are printed."""


def run(
    models: Sequence[str],
    ref: str,
    out: str,
    *,
    name: str | None = None,
    split: str | None = None,
    rows: int | None = None,
    seed: int = 0,
    columns: Sequence[str] = (),
    labels: Sequence[str] = (),
    too_long: TooLong = "cut",
    max_tokens: int | None = None,
    heads: bool = False,
    part_size: int = PART_SIZE,
    device: str = "auto",
    dtype: str | None = None,
) -> None:
    """Survey one model or two and print what stands out; arguments as `attnflow survey --help` tells them.

    Raises:
        AttnflowError: As `open_texts`, `load_checkpoint` and `survey`.
    """
    if len(models) > 2:
        raise SelectionError(f"There are {len(models)} models; give one or two, then the texts.")
    chosen = pairs_of(labels, "--label", "LABEL=CLASS")
    texts = open_named_texts(ref, name, split, rows, seed, columns)
    checkpoints = [load_checkpoint(model, device=device, dtype=dtype) for model in models]
    classes = {label for one in checkpoints if one.head.classifies_texts for label in one.head.labels}
    unknown = [label for label in chosen.values() if label not in classes]
    if unknown:
        raise SelectionError(f"No model has a class {unknown[0]!r}; theirs are {', '.join(sorted(classes)) or 'none'}.")
    found: list[Survey] = []
    for letter, checkpoint in zip("ab", checkpoints, strict=False):
        own = checkpoint.head.labels if checkpoint.head.classifies_texts else ()
        mine = {label: to for label, to in chosen.items() if to in own}
        found.append(
            survey(
                checkpoint,
                texts,
                labels=mine,
                too_long=too_long,
                max_tokens=max_tokens,
                heads=heads,
                out=Path(out) / letter,
                part_size=part_size,
                progress=ProgressLine(),
            )
        )
        print(file=sys.stderr)
        _say_of_survey(found[-1], match_labels(texts, own, mine).note if own and texts.label_names else "")
    save_texts(texts, Path(out) / "texts.parquet")
    if len(found) == 2:
        decided = all(one.has_classes for one in found) and set(found[0].labels) == set(found[1].labels)
        _say_order(most_different(found[0], found[1], "decision" if decided else "influence"), found[0], texts)
    sure = [one for one in found if one.has_classes and one.known.any()]
    if sure:
        _say_order(likely_mislabelled(*sure), sure[0], texts)
    for letter, _ in zip("ab", found, strict=False):
        print(f"Open it again: attnflow.open_survey({str(Path(out) / letter)!r})")
    print(f"Or on the page: attnflow serve --surveys {shlex.quote(str(Path(out).absolute().parent))}")


def open_named_texts(
    ref: str, name: str | None, split: str | None, rows: int | None, seed: int, columns: Sequence[str]
) -> Texts:
    """Open the texts that a command names, and print what there is."""
    wanted = pairs_of(columns, "--column", "text_a=NAME")
    wrong = [one for one in wanted if one not in _COLUMNS]
    if wrong:
        raise SelectionError(f"--column names {wrong[0]!r}; it is one of {', '.join(_COLUMNS)}.")
    texts = open_texts(ref, name=name, split=split, columns=wanted or None, rows=rows, seed=seed)
    _say_of_texts(texts, ref)
    return texts


class ProgressLine:
    """Prints progress: over itself on a terminal, in steps of a tenth elsewhere."""

    def __init__(self) -> None:
        self.shown = -1

    def __call__(self, what: str, share: float) -> None:
        """Print what is going on, if that is a step on."""
        step = int(share * (1000 if sys.stderr.isatty() else 10))
        if step > self.shown:
            self.shown = step
            told = f"{what}: {percent(share)}"
            over = sys.stderr.isatty()
            print(f"\r{told:<79}" if over else told, end="" if over else "\n", file=sys.stderr, flush=True)


def pairs_of(given: Sequence[str], option: str, form: str) -> dict[str, str]:
    """What an option says that may be given several times, each as `LEFT=RIGHT`."""
    split = [one.partition("=") for one in given]
    for one, (left, _, right) in zip(given, split, strict=True):
        if not left or not right:
            raise SelectionError(f"{option} is {one!r}; give {form}.")
    return {left: right for left, _, right in split}


def _say_of_texts(texts: Texts, ref: str) -> None:
    of = f" of {texts.total:,}" if texts.total is not None and texts.total != len(texts) else ""
    columns = {name: getattr(texts.columns, name) for name in _COLUMNS}
    told = ", ".join(f"{name} = {column}" for name, column in columns.items() if column is not None)
    print(f"{ref}: {len(texts):,} texts{of}; columns {told}.")
    for note in (*texts.notes, *(f"Left out: {count:,} rows, {reason}" for reason, count in texts.left_out.items())):
        print(note)


def _say_of_survey(found: Survey, note: str) -> None:
    print(
        f"{found.settings.model}: {int(found.usable.sum()):,} texts read, {int((found.cut > 0).sum()):,} of them cut."
    )
    say_reasons(found.reasons)
    if found.has_classes:
        matrix = confusion(found)
        n = int(matrix.counts.sum())
        print(
            f"  Right: {percent(matrix.accuracy, 1)} of {n:,} labelled texts."
            if n
            else "  No text has a label that it knows."
        )
    else:
        print("  It has no trained head that decides between classes.")
    if note:
        print(f"  {note}")


def say_reasons(reasons: Mapping[Any, str]) -> None:
    """Print how many texts could not be read, by the reason."""
    every = list(reasons.values())
    for reason in list(dict.fromkeys(every))[:_SHOWN]:
        print(f"  Left out: {every.count(reason):,}, {reason}")


def _say_order(order: Order, survey_: Survey, texts: Texts) -> None:
    print(order.sentence if len(order.rows) else f"{order.sentence} There is none.")
    for row, value in zip(order.rows[:_SHOWN].tolist(), np.round(order.values[:_SHOWN], 3), strict=True):
        text = texts[row]
        label = "" if text.label is None else f" [{text.label}]"
        both = " | ".join(part for part in (text.text_a, text.text_b) if part)
        print(f"  {value:.3f}  {survey_.guids[row]}{label}  {both[:100]}")
