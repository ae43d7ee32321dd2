"""Reads Parquet, row group by row group: only the columns and groups that are wanted, some rows at a time."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from attnflow.corpus.bounds import Budget
from attnflow.corpus.table import Row, Table, Unreadable
from attnflow.errors import TextsError, brief

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_BATCH_BYTES = 1 << 22
"""Cells that are unpacked at a time."""
_MOST_PER_BATCH = 1_000
_BUFFER = 1 << 18
"""Bytes of a column that are fetched at a time."""
_LEAST_GROUPS = 16
"""Row groups that are drawn at least, each read in part if need be: neighbouring rows are often alike."""
_MOST_FOOTERS = 32
"""Files of one split whose footers are read; of more than these, as many are drawn by the seed."""


@dataclass(frozen=True)
class _Group:
    """A row group of one of the files."""

    file: int
    number: int
    start: int
    """Rows of its file before it."""
    rows: int
    unpacked: int
    """Bytes of the columns that are read."""


def read_parquet(openers: Sequence[Callable[[], BinaryIO]], name: str, budget: Budget, seed: int = 0) -> Table:
    """A table of one or several Parquet files with the same columns.

    Where all their rows are more than may be read, row groups are drawn by the seed, and the same part of each is read,
    so that rows come from everywhere. Columns of bytes, such as pictures, are not read.

    Args:
        openers: Each opens one of the files; it is read at any place.
        name: What they are called together, for messages.
        budget: How many bytes of cells may be read.
        seed: Which groups.

    Raises:
        TextsError: If one is broken, or pyarrow is missing.
    """
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise TextsError(
            "Parquet is read by pyarrow, which is not installed; install attnflow[texts], or give CSV or JSON Lines."
        ) from error
    chance = random.Random(seed)
    chosen = sorted(chance.sample(range(len(openers)), min(len(openers), _MOST_FOOTERS)))
    with _told(name):
        files = {number: _opened(pq, openers[number]) for number in chosen}
        schema = files[chosen[0]].schema_arrow
        columns = tuple(field.name for field in schema if not _holds_bytes(field.type))
        groups = [group for number, file in files.items() for group in _groups(file, number, columns)]
    wanted, most = _drawn(groups, chance, budget)
    complete = len(chosen) == len(openers)
    budget.spent = budget.spent or not complete
    starts = itertools.accumulate((files[number].metadata.num_rows for number in chosen), initial=0)
    return Table(
        columns=columns,
        rows=_rows(files, wanted, most, columns, name, budget, [*starts] if complete else None),
        classes=_classes(schema.metadata or {}),
        total=sum(group.rows for group in groups) if complete else None,
    )


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Say in one sentence what pyarrow finds wrong."""
    import pyarrow as pa

    try:
        yield
    except TextsError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, NotImplementedError, OverflowError) as error:
        raise TextsError(f"{name} is no Parquet file, or a broken one ({brief(error)}).") from error


def _opened(pq: Any, opener: Callable[[], BinaryIO]) -> pq.ParquetFile:
    """A file whose texts stay numbers of a dictionary: a small file that repeats a long text would fill the memory."""
    file = opener()
    plain = pq.ParquetFile(file)
    texts = [field.name for field in plain.schema_arrow if _is_text(field.type)]
    return pq.ParquetFile(file, metadata=plain.metadata, read_dictionary=texts, buffer_size=_BUFFER)


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _holds_bytes(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_nested(kind):
        return any(_holds_bytes(kind.field(number).type) for number in range(kind.num_fields))
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)


def _groups(file: pq.ParquetFile, number: int, columns: Sequence[str]) -> Iterator[_Group]:
    start = 0
    for place in range(file.metadata.num_row_groups):
        described = file.metadata.row_group(place)
        leaves = (described.column(leaf) for leaf in range(described.num_columns))
        unpacked = sum(leaf.total_uncompressed_size for leaf in leaves if leaf.path_in_schema.split(".")[0] in columns)
        yield _Group(number, place, start, described.num_rows, unpacked)
        start += described.num_rows


def _drawn(groups: Sequence[_Group], chance: random.Random, budget: Budget) -> tuple[list[_Group], float]:
    """Row groups in their order, and how many bytes of each are read: all, or some at random and a part of each."""
    left = budget.most
    if left is None or sum(group.unpacked for group in groups) <= left:
        return [*groups], math.inf
    budget.spent = True
    shuffled = chance.sample(groups, len(groups))
    sizes = itertools.accumulate(group.unpacked for group in shuffled)
    enough = 1 + sum(size < left for size in sizes)
    number = min(max(enough, _LEAST_GROUPS), len(groups))
    return sorted(shuffled[:number], key=lambda group: (group.file, group.number)), left / number


def _rows(
    files: Mapping[int, pq.ParquetFile],
    groups: Sequence[_Group],
    most: float,
    columns: Sequence[str],
    name: str,
    budget: Budget,
    starts: Sequence[int] | None,
) -> Iterator[Row | Unreadable]:
    """The rows of some row groups, named by their place among all rows, or in their file if not all files are known."""
    for group in groups:
        at = group.start + (starts[group.file] if starts is not None else 0)
        prefix = "" if starts is not None else f"{group.file}-"
        average = max(1, group.unpacked // max(group.rows, 1))
        per_batch = max(1, int(min(_MOST_PER_BATCH, _BATCH_BYTES // average, 1 + most // average)))
        with _told(name):
            batches = files[group.file].iter_batches(per_batch, row_groups=[group.number], columns=list(columns))
        read = 0
        while read < most:
            with _told(name):
                batch = next(batches, None)
                if batch is None:
                    break
                cells = [_values(batch.column(column)) for column in columns]
            size = sum(len(cell) for column in cells for cell in column if isinstance(cell, str))
            read += max(size, average * batch.num_rows)
            budget.count(size)
            for row in zip(*cells, strict=True) if cells else ():
                yield Row(f"{prefix}{at}", row)
                at += 1


def _values(column: pa.Array) -> list[Any]:
    """The cells of a column; equal texts are one object."""
    import pyarrow as pa

    if not isinstance(column, pa.DictionaryArray):
        return column.to_pylist()
    used = column.indices.unique().drop_null()
    texts = dict(zip(used.to_pylist(), column.dictionary.take(used).to_pylist(), strict=True))
    return [texts.get(index) for index in column.indices.to_pylist()]


def _classes(metadata: Mapping[bytes, bytes]) -> dict[str, tuple[str, ...]]:
    """Names of classes that the datasets library writes into the files."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {
            column: tuple(map(str, feature["names"]))
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return {}
