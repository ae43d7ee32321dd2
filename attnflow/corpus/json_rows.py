"""Reads JSON Lines, and files of JSON that hold a list of objects, one object at a time."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

from attnflow.corpus.bounds import Budget
from attnflow.corpus.lines import LONGEST_LINE, cut_lines
from attnflow.corpus.table import Row, Table, Unreadable
from attnflow.errors import TextsError

_LOOKED_AT = 200
"""Rows whose keys are the columns; a key that comes up later is not one."""
_BEFORE, _BETWEEN = re.compile(r"\s*\[?\s*"), re.compile(r"[\s,]*")
_NO_OBJECT = Unreadable("that are no JSON object")


def read_json(blocks: Iterator[str], name: str, budget: Budget) -> Table:
    """A table of objects: one a line, or all in one list.

    Args:
        blocks: The text of the file.
        name: What it is called, for messages.
        budget: How much of it is read.

    Raises:
        TextsError: If it is empty, or begins with neither.
    """
    first = next((block for block in blocks if block.strip()), None)
    if first is None:
        raise TextsError(f"{name} is empty; give a file of JSON objects, one a line.")
    blocks = itertools.chain([first], blocks)
    if first.lstrip().startswith("["):
        found = _from_list(blocks, budget)
    else:
        found = (_parsed(line) for line in cut_lines(blocks, name, budget) if line.strip())
    head = list(itertools.islice(found, _LOOKED_AT))
    objects = [one for one in head if isinstance(one, dict)]
    if not objects:
        raise TextsError(
            f"{name} holds no JSON objects; give one object a line, or one list of objects, such as "
            '{"text": "Anna sang.", "label": "true"}.'
        )
    columns = tuple(dict.fromkeys(key for one in objects for key in one))
    return Table(columns, _rows(itertools.chain(head, found), columns))


def _rows(found: Iterator[Any], columns: tuple[str, ...]) -> Iterator[Row | Unreadable]:
    for number, one in enumerate(found):
        yield Row(str(number), [one.get(column) for column in columns]) if isinstance(one, dict) else _NO_OBJECT


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _from_list(blocks: Iterator[str], budget: Budget) -> Iterator[Any]:
    """The entries of a list that may be longer than the memory; what follows a broken one is lost."""
    decoder, text, at, wanted = json.JSONDecoder(), "", 0, 1
    between = _BEFORE
    while True:
        block = "".join(itertools.islice(blocks, wanted))
        text, at = text[at:] + block, 0
        while True:
            at = _end(between, text, at)
            if text.startswith("]", at):
                return
            try:
                one, at = decoder.raw_decode(text, at)
            except (ValueError, RecursionError) as error:
                broken = isinstance(error, RecursionError)
                break
            between, wanted = _BETWEEN, 1
            yield one
        if not block or broken or len(text) - at > LONGEST_LINE:
            if not budget.spent:
                yield None
            return
        wanted = min(2 * wanted, 64)  # what is not complete is parsed again


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at
