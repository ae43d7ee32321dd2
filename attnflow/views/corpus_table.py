"""The table of heads over a corpus: a row for each head of both models, a column for each statistic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attnflow.records.head_names import head_name
from attnflow.views.corpus_model import CorpusModel


@dataclass(frozen=True)
class HeadRows:
    """The table, as a data frame takes it."""

    headers: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    """Model, head, and a number or text for each statistic; None where a model has none."""

    @property
    def types(self) -> list[str]:
        """What each column holds, so that numbers are sorted as such."""
        columns = list(zip(*self.rows, strict=True)) or [()] * len(self.headers)
        return ["str" if any(isinstance(cell, str) for cell in column) else "number" for column in columns]


def head_rows(models: Sequence[CorpusModel]) -> HeadRows:
    """All heads of all models, with every statistic that one of them has; the name first."""
    columns = list(dict.fromkeys(["name", *(name for model in models for name in model.table)]))
    rows = [
        (
            model.side.upper(),
            head_name((layer, head)),
            *(_cell(model.table[name][layer, head]) if name in model.table else None for name in columns),
        )
        for model in models
        for layer, head in np.ndindex(model.n_layers, model.n_heads)
    ]
    return HeadRows(("model", "head", *columns), tuple(rows))


def _cell(value: Any) -> str | float | None:
    """A text, or a number with four significant digits."""
    if isinstance(value, str):
        return str(value)
    return float(f"{float(value):.4g}") if math.isfinite(value) else None
