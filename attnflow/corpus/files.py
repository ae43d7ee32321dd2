"""Opens the files that texts come in, by the ends of their names and, where they mislead, by what is in them."""

from __future__ import annotations

import gzip
import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import BinaryIO, cast

from attnflow.corpus.bounds import Budget
from attnflow.corpus.chain_rows import with_chains
from attnflow.corpus.columns import NAMES, plain
from attnflow.corpus.conll_rows import read_conll_rows
from attnflow.corpus.conllu_rows import read_conllu_rows
from attnflow.corpus.json_rows import read_json
from attnflow.corpus.lines import LONGEST_LINE, cut_lines, read_blocks
from attnflow.corpus.parquet_rows import read_parquet
from attnflow.corpus.separated import read_separated
from attnflow.corpus.table import Row, Table, Unreadable
from attnflow.errors import TextsError

FORMATS = {
    ".parquet": "parquet",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".conllu": "conllu",
    ".conll": "conll",
    ".txt": "text",
}
ENDS = (*FORMATS, "_conll", ".gz")
"""Of the names of files that can be read."""
KNOWN = "CSV, TSV, JSON Lines, Parquet, TXT, CoNLL-U or CoNLL-2012"
_PACKED = (".zip", ".tar", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst", ".gz")
_LOOKED_AT = 50


@dataclass(frozen=True)
class Part:
    """One file of a source."""

    name: str
    open: Callable[[], BinaryIO]


def format_of(name: str) -> str | None:
    """The format that the end of a file's name tells, one of the values of `FORMATS`; a packed one may follow `.gz`.

    CoNLL-2012 ends in `.conll`, or as in `.v4_gold_conll`.

    Example:
        >>> format_of("data/train.jsonl.gz")
        'json'
    """
    ends = [end.lower() for end in PurePosixPath(name).suffixes]
    if ends[-1:] == [".gz"] and ends[-2:-1] != [".parquet"]:
        ends = ends[:-1]
    if ends and ends[-1].endswith("_conll"):
        return "conll"
    return FORMATS.get(ends[-1]) if ends else None


def read_parts(parts: Sequence[Part], name: str, budget: Budget, seed: int = 0) -> Table:
    """A table of the rows of one or several files of one format, in their order.

    Args:
        parts: The files.
        name: What they are called together, for messages.
        budget: How much may be read.
        seed: Where not all is read and rows can be found by their number, which ones.

    Raises:
        TextsError: If a file has no format that is known, or is not what its name says.
    """
    kind = format_of(parts[0].name)
    if kind is None:
        if parts[0].name.lower().endswith(_PACKED):
            raise TextsError(f"{name} is packed; unpack it, and give {KNOWN}.")
        raise TextsError(f"{name} has no ending that tells its format; give {KNOWN}.")
    if kind == "parquet":
        return read_parquet([part.open for part in parts], name, budget, seed)
    first = _read_text(parts[0], kind, name, budget)
    if len(parts) == 1:
        return first
    return replace(first, rows=_chained(first, parts[1:], kind, name, budget))


def _read_text(part: Part, kind: str, name: str, budget: Budget) -> Table:
    blocks = _blocks(part, name, budget)
    if kind == "json":
        return with_chains(read_json(blocks, name, budget))
    lines = cut_lines(blocks, name, budget)
    if kind == "conllu":
        return read_conllu_rows(lines, name)
    if kind == "conll":
        return read_conll_rows(lines, name)
    if kind == "text":
        return _read_plain(lines, name)
    return with_chains(read_separated(lines, name, ("\t",) if kind == "tsv" else (",", "\t", ";", "|")))


def _blocks(part: Part, name: str, budget: Budget) -> Iterator[str]:
    with closing(part.open()) as file:
        start = file.read(4)
        file.seek(0)
        if start.startswith(b"PAR1"):
            raise TextsError(
                f"{name} is a Parquet file by another name; call it {PurePosixPath(part.name).stem}.parquet."
            )
        if start.startswith(b"PK\3\4"):
            raise TextsError(f"{name} is a ZIP file or a workbook; save it as CSV, and give that.")
        packed = start.startswith(b"\x1f\x8b")
        unpacked = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file
        try:
            yield from read_blocks(unpacked, name, budget)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise TextsError(f"{name} is packed by gzip and broken; give it unpacked.") from error


def _read_plain(lines: Iterator[str], name: str) -> Table:
    """One text a line; or a table, if its columns are separated by tabs and have names that are known."""
    head = list(itertools.islice(lines, _LOOKED_AT))
    lines = itertools.chain(head, lines)
    header = [plain(cell) for cell in head[0].split("\t")] if head else []
    if len(header) > 1 and NAMES & {*header}:
        return read_separated(lines, name, ("\t",))
    if not any(line.strip() for line in head):
        raise TextsError(f"{name} is empty; give a file with one text a line.")
    return Table(
        ("text",),
        (
            Row(str(number), [line.rstrip("\n")]) if len(line) < LONGEST_LINE else Unreadable("too long")
            for number, line in enumerate(lines)
        ),
    )


def _chained(first: Table, rest: Sequence[Part], kind: str, name: str, budget: Budget) -> Iterator[Row | Unreadable]:
    """Rows of several files as those of one, their names counted on."""
    count = 0
    for row in first.rows:
        count += 1
        yield row
    for part in rest:
        if budget.spent:
            return
        table = _read_text(part, kind, name, budget)
        places = [table.columns.index(column) if column in table.columns else None for column in first.columns]
        for row in table.rows:
            if isinstance(row, Row):
                cells = [None if place is None else row.cells[place] for place in places]
                row = replace(row, name=str(count), cells=cells)
            count += 1
            yield row
