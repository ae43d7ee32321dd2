"""Reads a data set that the datasets library has opened, without importing that library."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attnflow.corpus.columns import listed
from attnflow.corpus.table import Row, Table, Unreadable
from attnflow.errors import SelectionError, TextsError


def read_loaded(loaded: Any, split: str | None) -> Table:
    """A table of a `Dataset` or `IterableDataset`, or of a split of a `DatasetDict`.

    Args:
        loaded: Anything that gives mappings from column to cell, one after another; names of classes are taken from
            its `features`, if it has any.
        split: Which one, if there are several.

    Raises:
        TextsError: If it is nothing of the kind.
        SelectionError: If it has several splits, and none or another is asked for.
    """
    if isinstance(loaded, Mapping):
        if split not in loaded:
            raise SelectionError(
                f"split is {str(split)[:60]!r}; give one of those that there are: {listed([*map(str, loaded)])}."
            )
        loaded = loaded[split]
    if not isinstance(loaded, Iterable):
        raise TextsError(
            f"{type(loaded).__name__} is nothing that texts can be read from; give a Hub id, a file or a data set."
        )
    features = getattr(loaded, "features", None) or {}
    rows = iter(loaded)
    first = next(rows, None)
    if not isinstance(first, Mapping):
        raise TextsError(f"{type(loaded).__name__} is empty, or its rows are no mappings from column to cell.")
    columns = tuple(map(str, features or first))
    classes = {str(c): tuple(f.names) for c, f in features.items() if isinstance(getattr(f, "names", None), list)}
    return Table(
        columns=columns,
        rows=_rows(itertools.chain([first], rows), columns),
        classes=classes,
        total=len(loaded) if hasattr(type(loaded), "__len__") else None,  # pyright: ignore[reportArgumentType]
    )


def _rows(rows: Iterator[Mapping[str, Any]], columns: tuple[str, ...]) -> Iterator[Row | Unreadable]:
    for number, row in enumerate(rows):
        yield Row(str(number), [row.get(column) for column in columns])
