"""Tables as CSV, in which a spreadsheet finds texts and numbers and never a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

_BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    r"""A header and rows as CSV.

    A text that a spreadsheet would take for a formula gets a quote in front, as a spreadsheet itself writes a text that
    is none: whoever publishes a tokenizer chooses the names of its tokens. Numbers stay numbers.

    Args:
        header: Names of the columns.
        rows: Texts and numbers.

    Example:
        >>> csv_text(["token", "value"], [["=1+1", -0.5]])
        "token,value\n'=1+1,-0.5\n"
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return file.getvalue()


def _cell(value: Any) -> Any:
    return "'" + value if isinstance(value, str) and value.startswith(_BEGINS_A_FORMULA) else value
