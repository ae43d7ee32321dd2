"""The texts of an endpoint: opened for one call, read by a checkpoint, and told with every answer."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, TypedDict, cast

import gradio as gr

from attnflow import limits, progress
from attnflow.corpus.texts import BUNDLED
from attnflow.errors import SelectionError
from attnflow.records.survey import Survey
from attnflow.service.case import ModelCard, open_checkpoint
from attnflow.service.collections import Asked, Opened, Page, collections
from attnflow.web import arguments
from attnflow.web.arguments import SentFile
from attnflow.web.endpoints.checks import checked_heads

PROGRESS = gr.Progress()
FIELDS = ("text_a", "text_b", "label", "guid")
MOST_ROWS = 1_000
"""Rows of one answer."""


class TextsAnswer(TypedDict):
    """Which texts were read."""

    source: str
    fingerprint: str
    n: int
    total: int | None
    columns: dict[str, str | None]
    labels: list[str]
    left_out: dict[str, int]
    notes: list[str]


@contextmanager
def opened_texts(
    texts: str,
    columns: Sequence[str] | None,
    rows: int,
    name: str,
    split: str,
    revision: str,
    seed: int,
    file: SentFile | None,
    *,
    bundled: str = BUNDLED,
) -> Generator[tuple[Page, Opened]]:
    """The texts, kept while this context lasts and no longer if nobody else may read them."""
    wanted = tuple(split_pairs("columns", columns, "text_a=premise").items())
    wrong = [field for field, _ in wanted if field not in FIELDS]
    if wrong:
        raise SelectionError(f"columns names {arguments.came(wrong[0])}; give columns for {', '.join(FIELDS)}.")
    if not 0 <= seed <= 10**6:
        raise SelectionError(f"seed is {arguments.came(seed)}; give a whole number from 0 to 1,000,000.")
    if file is not None:
        if texts.strip() != bundled or name or split or revision:
            raise SelectionError("A file is all of the texts; leave texts, name, split and revision out beside it.")
        # What it is called is all that is left of it.
        asked = Asked(columns=wanted, rows=rows, seed=seed, sent=cast("str", file))
    else:
        asked = Asked(texts.strip(), name or None, split or None, revision or None, wanted, rows, seed)
    page = Page()
    try:
        yield page, collections.open(asked, page)
    finally:
        page.close()


def check_classes(labels: Sequence[str] | None, *refs: str) -> None:
    """Refuse a class that no checkpoint has; each takes those that it has."""
    wanted = {name for name in split_pairs("labels", labels, "1=entailment").values() if name is not None}
    if wanted:
        heads = [open_checkpoint(ref).head for ref in refs]
        known = {name for head in heads if head.classifies_texts for name in head.labels}
        unknown = sorted(wanted - known)
        if unknown:
            named = ", ".join(sorted(known)[:20]) or "none"
            raise SelectionError(f"labels names the class {arguments.came(unknown[0])}; the classes are {named}.")


def telling() -> AbstractContextManager[None]:
    """How far what is done in this context has come is told to the caller."""
    return progress.reporting(lambda what, share: PROGRESS(share, desc=what))


def read(
    ref: str, opened: Opened, page: Page, labels: Sequence[str] | None, pruned: Any, too_long: str
) -> tuple[ModelCard, Survey]:
    """What a checkpoint makes of texts; how far it has come is told to the caller."""
    card = ModelCard.of(open_checkpoint(ref))
    with telling():
        found = collections.survey(
            opened,
            card.pinned,
            pruned=checked_heads("pruned", pruned),
            labels=split_pairs("labels", labels, "1=entailment"),
            too_long=cast('Literal["cut", "leave_out"]', too_long),
        )
    return card, found


def split_pairs(argument: str, given: Sequence[str] | None, example: str) -> dict[str, str | None]:
    """Pairs that are written as texts, for an endpoint takes no object; an empty right side is None."""
    found: dict[str, str | None] = {}
    for one in given or ():
        left, sign, right = one.partition("=")
        if not left or not sign:
            raise SelectionError(f"{argument} holds {arguments.came(one)}; give texts such as {example!r}.")
        found[left] = right or None
    return found


def window(offset: int, limit: int) -> slice:
    """The rows of one answer."""
    if not 0 <= offset <= limits.MAX_TEXTS or not 1 <= limit <= MOST_ROWS:
        raise SelectionError(
            f"offset is {arguments.came(offset)} and limit {arguments.came(limit)}; give an offset from 0 to "
            f"{limits.MAX_TEXTS:,} and a limit from 1 to {MOST_ROWS:,}."
        )
    return slice(offset, offset + limit)


def texts_answer(opened: Opened) -> TextsAnswer:
    """Which texts were read."""
    texts = opened.texts
    return {
        "source": texts.source,
        "fingerprint": texts.fingerprint,
        "n": len(texts),
        "total": texts.total,
        "columns": {field: getattr(texts.columns, field) for field in FIELDS},
        "labels": list(texts.label_names),
        "left_out": dict(texts.left_out),
        "notes": list(texts.notes),
    }
