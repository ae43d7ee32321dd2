"""Finds the Transformer in a checkpoint of the sentence-transformers library, whose `modules.json` lists its parts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from attnflow.checkpoints.plain_json import read_json, read_object, shown
from attnflow.errors import CheckpointError, UnsupportedArchitectureError

FILE = "modules.json"
SETTINGS = "sentence_bert_config.json"
"""Beside the Transformer: what the library does with a text before its tokenizer."""
_LARGEST = 100_000
_TRANSFORMERS = ("Transformer", "MLMTransformer")
"""What a model may begin with; the second is SPLADE's, with its head for masked words."""
_FOLDER = re.compile(r"\w[\w.-]{0,95}")


@dataclass(frozen=True)
class Parts:
    """What `modules.json` tells."""

    folder: str
    """Where the Transformer is; empty for the top."""
    note: str
    """What follows it and is not run here, as a sentence; empty if nothing does."""


def read_parts(path: Path, name: str) -> Parts:
    """Read the list of parts of a checkpoint.

    Args:
        path: Its `modules.json`.
        name: What it is called, for errors.

    Raises:
        CheckpointError: If it is no such list.
        UnsupportedArchitectureError: If it does not begin with a Transformer.
    """
    try:
        listed = read_json(path, most_bytes=_LARGEST)
        kinds = [str(part["type"]).rpartition(".")[2] for part in listed]
        folder, own = listed[0]["path"], not str(listed[0]["type"]).startswith("sentence_transformers.")
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise CheckpointError(
            f"The {FILE} of {name} is no list of parts of a sentence-transformers model; choose another checkpoint."
        ) from error
    if kinds[0] not in _TRANSFORMERS:
        raise UnsupportedArchitectureError(
            f"{name} cannot be analysed: by its {FILE} it begins with {shown(kinds[0])}, which is no Transformer. "
            "Choose another checkpoint."
        )
    folder = folder.removeprefix("./").rstrip("/") if isinstance(folder, str) else folder
    if not isinstance(folder, str) or (folder and (not _FOLDER.fullmatch(folder) or ".." in folder)):
        raise CheckpointError(f"The {FILE} of {name} gives {shown(folder)} as the place of its Transformer, no folder.")
    follows = ", ".join(kind if kind.isalnum() else "a part of its own" for kind in kinds[1:5])
    note = (
        f"This is the Transformer of a sentence-transformers model; what follows it there ({follows}) is not run here."
    )
    notes = [
        f"By its {FILE} it begins with a part by code of its own ({shown(listed[0]['type'])}), which is never run "
        "here; its Transformer is read without."
        if own
        else "",
        note if follows else "",
    ]
    return Parts(folder, " ".join(filter(None, notes)))


def lowers(path: Path, name: str) -> bool:
    """Whether texts are put into lower case before the tokenizer sees them.

    Args:
        path: The `sentence_bert_config.json`.
        name: What the checkpoint is called, for errors.

    Raises:
        CheckpointError: If it holds no settings.
    """
    try:
        return read_object(path, most_bytes=_LARGEST).get("do_lower_case") is True
    except ValueError as error:
        raise CheckpointError(f"The {SETTINGS} of {name} {error}; choose another checkpoint.") from error


LOWERS = (
    f"By its {SETTINGS} (do_lower_case) texts are put into lower case before its tokenizer sees them, which is not "
    "done here; write them in lower case."
)
"""Told where the tokenizer does not do so itself."""
