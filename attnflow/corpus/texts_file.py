"""A collection of texts in one Parquet file: what surveys were made of, to be shown beside them."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from attnflow.corpus.survey_files import needed, writing
from attnflow.errors import TextsError, brief
from attnflow.records.coreference import Document, Mention
from attnflow.records.texts import Columns, Text, Texts
from attnflow.records.trees import Sentence

_TOLD = b"attnflow.texts"
"""Under which the file keeps, as JSON, what is known of all texts."""


def save_texts(texts: Texts, path: str | os.PathLike[str]) -> Path:
    """Write a collection, so that `open_saved_texts` gives the same again.

    Args:
        texts: The collection.
        path: Of the file; its folder is made if it is not there.

    Raises:
        SelectionError: If it cannot be written, or pyarrow is not installed.
    """
    place = Path(path).expanduser()
    pyarrow, parquet = needed("pyarrow", "pyarrow"), needed("pyarrow.parquet", "pyarrow")
    table = pyarrow.table(
        {
            "guid": [text.guid for text in texts],
            "text_a": [text.text_a for text in texts],
            "text_b": pyarrow.array([text.text_b for text in texts], pyarrow.string()),
            "label": [json.dumps(text.label) for text in texts],
            "meta": [json.dumps(dict(text.meta)) for text in texts],
            "tree": [None if text.tree is None else json.dumps(asdict(text.tree)) for text in texts],
            "document": [None if text.document is None else json.dumps(asdict(text.document)) for text in texts],
        }
    )
    told: dict[str, Any] = {
        "source": texts.source,
        "columns": asdict(texts.columns),
        "label_names": texts.label_names,
        "total": texts.total,
        "left_out": dict(texts.left_out),
        "drawn_from": texts.drawn_from,
        "notes": texts.notes,
    }
    place.parent.mkdir(parents=True, exist_ok=True)
    with writing(place) as file:
        parquet.write_table(table.replace_schema_metadata({_TOLD: json.dumps(told).encode()}), file)
    return place


def open_saved_texts(path: str | os.PathLike[str], most: int | None = None) -> Texts:
    """Open a collection that was saved.

    Args:
        path: Of the file.
        most: How many texts it may have; any number if None.

    Raises:
        TextsError: If there is none, it cannot be read, or it has more texts.
        SelectionError: If pyarrow is not installed.
    """
    place, parquet = Path(path), needed("pyarrow.parquet", "pyarrow")
    try:
        with parquet.ParquetFile(place) as file:
            n = file.metadata.num_rows
            if most is not None and n > most:
                raise TextsError(
                    f"{place.parent.name} has {n:,} texts; at most {most:,} are shown: survey fewer of them."
                )
            table = file.read()
        told = json.loads(table.schema.metadata[_TOLD])
        rows = tuple(
            Text(
                row["guid"],
                row["text_a"],
                row["text_b"],
                json.loads(row["label"]),
                json.loads(row["meta"]),
                None if row["tree"] is None else _tree(json.loads(row["tree"])),
                None if row.get("document") is None else _document(json.loads(row["document"])),
            )
            for row in table.to_pylist()
        )
        columns = Columns(**told.pop("columns"))
        told |= {"label_names": tuple(told["label_names"]), "notes": tuple(told["notes"])}
        return Texts(rows, columns=columns, **told)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TextsError(
            f"The texts in {place.parent.name} cannot be read ({brief(error)}); survey them anew."
        ) from error


def _tree(told: dict[str, Any]) -> Sentence:
    """From JSON, in which tuples are lists."""
    return Sentence(
        text=told["text"],
        words=tuple(told["words"]),
        governor=tuple(told["governor"]),
        relation=tuple(told["relation"]),
        span=tuple((start, end) for start, end in told["span"]),
        guid=told["guid"],
    )


def _document(told: dict[str, Any]) -> Document:
    """Likewise."""
    return Document(
        text=told["text"],
        words=tuple(told["words"]),
        span=tuple((start, end) for start, end in told["span"]),
        mentions=tuple(Mention(**{**mention, "words": tuple(mention["words"])}) for mention in told["mentions"]),
        text_b=told["text_b"],
        n_words_a=told["n_words_a"],
        guid=told["guid"],
    )
