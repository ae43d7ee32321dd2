"""Writes rows of texts as a Parquet file in memory."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from attnflow.extras import needed

SETTINGS = b"attnflow"
"""Under which the file keeps, as JSON, how it came about."""


def parquet_bytes(table: Mapping[str, Sequence[Any]], settings: Mapping[str, Any]) -> bytes:
    """A table as Parquet, with what it came from in its metadata.

    A column of values of several types is written as texts.

    Args:
        table: Columns of one length by their names.
        settings: How it came about.

    Raises:
        SelectionError: If pyarrow is not installed.
    """
    pyarrow, parquet = needed("pyarrow", "pyarrow"), needed("pyarrow.parquet", "pyarrow")
    columns: dict[str, Any] = {}
    for name, values in table.items():
        try:
            columns[name] = pyarrow.array(values)
        except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError):
            columns[name] = pyarrow.array([None if value is None else str(value) for value in values])
    written = pyarrow.table(columns)
    written = written.replace_schema_metadata({SETTINGS: json.dumps(settings, ensure_ascii=False).encode()})
    file = io.BytesIO()
    parquet.write_table(written, file)
    return file.getvalue()
