"""For every head the text of a collection on which it does most what it may be named for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnflow import limits, progress
from attnflow.errors import TextError
from attnflow.records.survey import Survey
from attnflow.records.texts import Text
from attnflow.records.trace import Encoding, Head
from attnflow.runtime.batch import batches, capture_batch
from attnflow.runtime.encode import encode
from attnflow.service.case import open_checkpoint
from attnflow.service.collections import Opened
from attnflow.service.long_work import long_work
from attnflow.service.places import give_way
from attnflow.service.workspace import workspace
from attnflow.stats.entropy import AttentionEntropy

BROAD = "broad"
MOST_BROAD = 32
"""Texts among which the one is sought that a head reads most broadly: of more, evenly spaced ones."""


@dataclass(frozen=True, eq=False)
class HeadExamples:
    """The text that each head of one model does something most on."""

    names: tuple[str, ...]
    """What it does: kinds of token that it attends to and, if sought, `broad`."""
    row: NDArray[np.int64]
    """`[L, H, name]`: the row of the text; -1 for none."""
    share: NDArray[np.float64]
    """`[L, H, name]`: its share of attention there, or of the most entropy that it can have."""

    def of(self, head: Head, name: str) -> tuple[int, float] | None:
        """Row and share; None if there is no such text."""
        if name not in self.names:
            return None
        place = (*head, self.names.index(name))
        return None if self.row[place] < 0 else (int(self.row[place]), float(self.share[place]))


def head_examples(opened: Opened, survey: Survey, ref: str, *, broad: bool) -> HeadExamples:
    """Find them among the texts that *One pair* takes and that the model read whole.

    Args:
        opened: The texts.
        survey: What the model made of them.
        ref: The model, a bundled reference or a Hub id.
        broad: Whether some head is named so, for which the model reads some texts once more.

    Raises:
        AttnflowError: If the model cannot be opened or run.
    """
    short = [max(len(text.text_a), len(text.text_b or "")) <= limits.MAX_CHARACTERS for text in opened.texts]
    allowed = np.flatnonzero(survey.usable & (survey.cut == 0) & np.array(short, bool))
    shares, names, rows = survey.shares[allowed], survey.settings.kinds, allowed
    found = [_best(shares, rows)]
    if broad and len(allowed):
        places = np.linspace(0, len(allowed) - 1, min(len(allowed), MOST_BROAD)).round().astype(int)
        rows, names = allowed[places], (*names, BROAD)
        read, breadth = _breadth(ref, [opened.texts[int(row)] for row in rows])
        found.append(_best(breadth[..., None], rows[read]))
    row, share = (np.concatenate(parts, -1) for parts in zip(*found, strict=True))
    return HeadExamples(tuple(names), row, share)


def _best(values: NDArray[np.floating], rows: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Of `[N, L, H, name]` the row with the highest of each, and it; -1 and NaN where there is none."""
    known = np.where(np.isfinite(values), values, -np.inf)
    if not len(known):
        return np.full(values.shape[1:], -1), np.full(values.shape[1:], np.nan)
    highest = known.max(0).astype(np.float64)
    there = np.isfinite(highest)
    return np.where(there, rows[known.argmax(0)], -1), np.where(there, highest, np.nan)


def _breadth(ref: str, texts: Sequence[Text]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Which of some texts can be read, and `[N, L, H]`: entropy of each head there, as a share of the most."""
    checkpoint = open_checkpoint(ref)
    encodings, read = list[Encoding](), list[int]()
    for number, text in enumerate(texts):
        try:
            encodings.append(encode(checkpoint, text.text_a, text.text_b, max_tokens=limits.MAX_TOKENS))
        except TextError:
            continue
        read.append(number)
    found = np.full((len(encodings), checkpoint.n_layers, checkpoint.n_heads), np.nan)
    what, advice = "looking for examples", "ask for fewer texts"
    with long_work(workspace.places, limits.MAX_SURVEY_SECONDS, what, advice, checkpoint.name):
        for numbers in batches(checkpoint, encodings):
            progress.go_on()
            give_way()
            batch = capture_batch(checkpoint, [encodings[number] for number in numbers])
            attention = batch.attention.float().cpu().numpy()
            for number, own, length in zip(numbers, attention, batch.lengths.tolist(), strict=True):
                result = AttentionEntropy().update(own[:, :, :length, :length]).result()
                if result.most > 0:
                    found[number] = result.whole / result.most
    return np.array(read, np.int64), found
