"""Opens collections of texts: the bundled pairs, a data set of the Hub, a file, or what the datasets library opened."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import Any

from attnflow.bundled import ASSETS
from attnflow.checkpoints.references import DATA_SET, parse_reference
from attnflow.corpus.bounds import Bounds, Budget
from attnflow.corpus.collecting import collect
from attnflow.corpus.columns import Wanted
from attnflow.corpus.drawing import Drawing
from attnflow.corpus.files import KNOWN, Part, format_of, read_parts
from attnflow.corpus.loaded import read_loaded
from attnflow.corpus.published import read_published
from attnflow.corpus.table import Row
from attnflow.errors import SelectionError, TextsError
from attnflow.records.texts import Texts

BUNDLED, TREEBANK, CHAINS, TRAINING = "demo/pairs", "demo/sentences", "demo/coreference", "demo/training"
BUNDLED_TEXTS = {
    BUNDLED: ASSETS / "demo" / "texts.csv",
    TREEBANK: ASSETS / "demo" / "sentences.conllu",
    CHAINS: ASSETS / "demo" / "pairs.jsonl",
    TRAINING: ASSETS / "demo" / "training.csv",
}
"""What is in this package: held-out pairs, trees and coreference chains of theirs, and pairs of training."""
_ENOUGH, _ENOUGH_PER_ROW = 8 * 10**6, 20_000
"""Bytes of a data set of the Hub from which rows are drawn: the larger of the two."""


def open_texts(
    ref: Any,
    *,
    name: str | None = None,
    split: str | None = None,
    revision: str | None = None,
    columns: Wanted = None,
    rows: int | None = None,
    seed: int = 0,
    token: str | None = None,
    bounds: Bounds | None = None,
) -> Texts:
    """Open a collection of texts or of pairs of texts.

    Which column is what is guessed by the usual names, told in `Texts.columns`, and changed by `columns`. Numbers of
    classes become their names where the source tells them. Rows without a text are left out and counted in
    `Texts.left_out`.

    Of a file, `rows` are drawn from all its rows. Of a data set of the Hub, they are drawn from as much of it as has
    20 kB for each row that is asked for, and at least 8 MB: from row groups that are drawn themselves where it is
    Parquet, and from its beginning where it is CSV, JSON or text; `Texts.drawn_from` tells how many rows that were.
    Nothing is written to disk. No code of a data set is ever run.

    Args:
        ref: `demo/pairs`; `demo/training`, pairs that `demo/finetuned` was trained on; `demo/sentences`, a treebank;
            `demo/coreference`, pairs with coreference chains; a Hub id (`nyu-mll/glue`, perhaps with `@revision` or a
            folder in it) or an address that was copied from the Hub's pages; a file (CSV, TSV, JSON Lines, Parquet, TXT
            with one text a line, CoNLL-U, CoNLL-2012), given as a `Path`, as a text that begins with `/`, `./`, `../`
            or `~`, or by the name of a file that is there; or a data set of the datasets library. The columns of GAP,
            and chains in JSON Lines, are known by their names.
        name: Configuration of a data set of the Hub.
        split: Its split; if None the only one, or `validation`, or `train`, or the first.
        revision: Its branch, tag or commit.
        columns: Columns for `text_a`, `text_b`, `label` and `guid`, or None for those that are not to be used.
        rows: How many rows to draw, in the proportions of their labels; all if None.
        seed: The same seed draws the same rows.
        token: Hub access token for gated and private data sets. The process's own token is never used.
        bounds: The most that may be read and kept; no bound if None.

    Raises:
        TextsError: If the texts cannot be found, reached or read.
        SelectionError: If there is no such configuration, split or column, or `rows` is no number of rows.

    Example:
        >>> texts = open_texts("demo/pairs", rows=200)
        >>> len(texts), texts.total, texts.label_names
        (200, 2000, ('supported', 'unsupported'))
    """
    bounds = bounds or Bounds()
    draw = _drawing(rows, seed, bounds)
    bundled = isinstance(ref, str) and ref in BUNDLED_TEXTS
    if bundled or _is_file(ref):
        if name or split or revision:
            raise SelectionError(
                "A file has no configurations, splits or revisions; leave name, split and revision out."
            )
        return _open_file(BUNDLED_TEXTS[ref] if bundled else ref, ref if bundled else None, columns, draw, bounds)
    if isinstance(ref, str):
        return _open_published(ref, name, split, revision, columns, draw, token, bounds)
    return collect(read_loaded(ref, split), "a data set", columns, draw, bounds, Budget(None))


def open_published(
    ref: str,
    *,
    name: str | None = None,
    split: str | None = None,
    revision: str | None = None,
    columns: Wanted = None,
    rows: int | None = None,
    seed: int = 0,
    token: str | None = None,
    bounds: Bounds | None = None,
) -> Texts:
    """Open what is bundled or a data set of the Hub, and never a file of this machine; see `open_texts`."""
    if ref in BUNDLED_TEXTS:
        where = {"name": name, "split": split, "revision": revision}
        return open_texts(ref, **where, columns=columns, rows=rows, seed=seed, bounds=bounds)
    bounds = bounds or Bounds()
    return _open_published(ref, name, split, revision, columns, _drawing(rows, seed, bounds), token, bounds)


def _open_published(
    ref: str,
    name: str | None,
    split: str | None,
    revision: str | None,
    columns: Wanted,
    draw: Drawing[Row],
    token: str | None,
    bounds: Bounds,
) -> Texts:
    found = read_published(parse_reference(ref, revision, DATA_SET), name, split, token)
    enough = None if draw.rows is None else max(_ENOUGH, draw.rows * _ENOUGH_PER_ROW)
    budget = Budget(min([most for most in (enough, bounds.size) if most is not None], default=None))
    table = found.read(budget, draw.seed)
    return collect(table, found.name, columns, draw, bounds, budget)


def _drawing(rows: Any, seed: Any, bounds: Bounds) -> Drawing[Row]:
    for what, value, least in (("rows", rows, 1), ("seed", seed, 0)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
            raise SelectionError(f"{what} is {str(value)[:60]!r}; give a whole number of at least {least}.")
    most = [number for number in (rows, bounds.rows) if number is not None]
    return Drawing(min(most, default=None), seed or 0)


def _is_file(ref: Any) -> bool:
    if isinstance(ref, os.PathLike):
        return True
    if not isinstance(ref, str):
        return False
    return ref.startswith(("/", "./", "../", "~")) or (format_of(ref) is not None and Path(ref).is_file())


def open_sent(
    name: str, data: bytes, *, columns: Wanted = None, rows: int | None = None, seed: int = 0, bounds: Bounds
) -> Texts:
    """Open a file that is in memory, and nothing of this machine; see `open_texts`.

    Args:
        name: Of the file; its end tells the format.
        data: What is in it.
        columns: As in `open_texts`.
        rows: Likewise.
        seed: Likewise.
        bounds: Likewise.
    """
    budget = Budget(bounds.size)
    table = read_parts([Part(name, lambda: BytesIO(data))], name, budget)
    return collect(table, name, columns, _drawing(rows, seed, bounds), bounds, budget)


def _open_file(
    ref: str | os.PathLike[str], name: str | None, columns: Wanted, draw: Drawing[Row], bounds: Bounds
) -> Texts:
    path = Path(ref).expanduser()
    if path.is_dir():
        raise TextsError(f"{path.name} is a folder; give one file: {KNOWN}.")
    if not path.is_file():
        raise TextsError(f"There is no file {path.name}; check its name, and give {KNOWN}.")
    name = name or path.name
    budget = Budget(bounds.size)
    try:
        table = read_parts([Part(path.name, lambda: path.open("rb"))], name, budget)
        return collect(table, name, columns, draw, bounds, budget)
    except OSError as error:
        raise TextsError(f"{name} cannot be read; check that it is a file that you may read.") from error
