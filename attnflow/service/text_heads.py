"""What each head of a model matters over some texts, by a measure that a survey does not add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from attnflow import limits, progress
from attnflow.corpus.gold import match_labels
from attnflow.corpus.survey import TooLong
from attnflow.errors import SelectionError, TextError
from attnflow.methods.heads.importance import HeadImportance, ImportanceMethod
from attnflow.records.survey import class_of
from attnflow.records.texts import Texts
from attnflow.records.trace import Encoding, Head
from attnflow.runtime.encode import encode
from attnflow.service.case import open_checkpoint
from attnflow.service.collections import decides
from attnflow.service.long_work import long_work
from attnflow.service.places import give_way
from attnflow.service.workspace import workspace

_AT_ONCE = 8
"""Texts between two looks at whether anybody waits."""


def importance_over(
    texts: Texts,
    ref: str,
    method: ImportanceMethod,
    *,
    pruned: Sequence[Head] = (),
    labels: Mapping[str, str | None] | None = None,
    too_long: TooLong = "cut",
) -> tuple[NDArray[np.float64], int]:
    """`[L, H]` importance of every head, the mean over the texts that could be read, and how many these are.

    Args:
        texts: The texts; each counts with the loss of its label, or, where that names no class, of the prediction.
        ref: A bundled reference or a Hub id, perhaps with `@` and a revision.
        method: As in `head_importance`.
        pruned: Heads that are switched off.
        labels: As in `Collections.survey`.
        too_long: What becomes of a text with more tokens than fit.

    Raises:
        SelectionError: If the model does not decide between classes, or none of the texts can be read.
    """
    checkpoint = open_checkpoint(ref)
    if not decides(checkpoint):
        raise SelectionError(f"{checkpoint.name} does not decide between classes, so no head matters for a loss.")
    own = checkpoint.head.labels
    chosen = {label: name for label, name in (labels or {}).items() if name is None or name in own}
    classes = match_labels(texts, own, chosen).classes
    found, read = HeadImportance(method=method), 0
    what, advice = "measuring heads", "ask for fewer texts"
    with long_work(workspace.places, limits.MAX_SURVEY_SECONDS, what, advice, checkpoint.name):
        for start in range(0, len(texts), _AT_ONCE):
            progress.go_on()
            give_way()
            encodings, gold = list[Encoding](), list[int | None]()
            for text in texts[start : start + _AT_ONCE]:
                try:
                    encodings.append(
                        encode(
                            checkpoint,
                            text.text_a,
                            text.text_b,
                            truncate=too_long == "cut",
                            max_tokens=limits.MAX_TOKENS,
                        )
                    )
                except TextError:
                    continue
                gold.append(class_of(text.label, own, classes))
            if encodings:
                with progress.untold():
                    found.update(checkpoint, encodings, gold, pruned=pruned)
            read += len(encodings)
            progress.tell(f"Measuring heads of {checkpoint.name}", min(1.0, (start + _AT_ONCE) / len(texts)))
    if not read:
        raise SelectionError(f"{checkpoint.name} can read none of these texts.")
    return np.asarray(found.result()), read
