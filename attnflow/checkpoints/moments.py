"""Moments of one training: the folders `checkpoint-N` that a Trainer leaves, beside which lies what it ended with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from attnflow.checkpoints.plain_json import read_object
from attnflow.checkpoints.repository_files import CONFIG, WEIGHTS
from attnflow.errors import CheckpointError

_FOLDER = re.compile(r"checkpoint-([0-9]{1,12})")
_STATE = "trainer_state.json"
"""Written last of what makes up a checkpoint: without it, it may still be half written."""
_LARGEST_STATE = 50 * 10**6
_MOST_EPOCHS = 10**6
"""What is no number below it was written by no Trainer, and is not told."""
MOST = 200
"""Of one training; the page has a place on a slider for each."""


@dataclass(frozen=True)
class Moment:
    """A checkpoint of a training."""

    revision: str
    """What it is asked for by, beside the name of the training; empty for what it ended with."""
    label: str
    """Such as `step 500, epoch 1.6`."""
    commit: str = ""
    """On the Hub, what it stands for now; empty on this machine."""


END = Moment("", "the end")


def moments_of_run(folder: Path) -> tuple[Moment, ...]:
    """The whole checkpoints in the folder of a run, first to last; those that are being written are not among them.

    Args:
        folder: What was given to a Trainer as `output_dir`. A checkpoint of its own is the last of them, `END`.
    """
    moments = [Moment(place.name, _label(step, place)) for step, place in _along_the_way(folder)]
    return (*moments, END) if is_checkpoint(folder) else tuple(moments)


def _along_the_way(folder: Path) -> list[tuple[int, Path]]:
    """Steps and folders of the whole checkpoints in the folder of a run; their files are not read."""
    try:
        found = sorted((int(named[1]), place) for place in folder.iterdir() if (named := _FOLDER.fullmatch(place.name)))
    except OSError:
        return []
    return [(step, place) for step, place in found if is_whole(place)][-MOST:]


def is_run(folder: Path) -> bool:
    """Whether a folder is a checkpoint, or holds some of one training."""
    return is_checkpoint(folder) or bool(_along_the_way(folder))


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder holds configuration and weights."""
    return (folder / CONFIG).is_file() and any((folder / name).is_file() for name in WEIGHTS)


def is_whole(folder: Path) -> bool:
    """Whether a checkpoint along the way is written to its end."""
    return is_checkpoint(folder) and (folder / _STATE).is_file()


def folder_at(folder: Path, revision: str | None, name: str) -> Path:
    """Where a moment of a run lies.

    Args:
        folder: That of the run.
        revision: Its moment, as `Moment.revision`; what it ended with if None or empty.
        name: What the run is called, for errors.

    Raises:
        CheckpointError: If there is no such moment, with those that there are.
    """
    if not revision and (is_checkpoint(folder) or not _along_the_way(folder)):
        return folder  # what is wrong with it is told by whoever reads it
    if (
        revision
        and _FOLDER.fullmatch(revision)
        and is_whole(folder / revision)
        and not (folder / revision).is_symlink()
    ):
        return folder / revision
    known = [place.name for _, place in _along_the_way(folder)]
    listed = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
    raise CheckpointError(
        f"{name} has no checkpoint {str(revision)[:60]!r}; it has {listed or 'none along the way'}."
        if revision
        else f"{name} holds no checkpoint of its own; give one along the way as its revision: {listed}."
    )


@lru_cache(maxsize=4 * MOST)
def _epoch(state: Path, _written: int, _size: int) -> object:
    """What a state says of its epoch; kept, as each holds the whole history of its training and is looked at often."""
    try:
        return read_object(state, most_bytes=_LARGEST_STATE, most_values=5 * 10**6).get("epoch")
    except ValueError:
        return None


def _label(step: int, folder: Path) -> str:
    try:
        written = (folder / _STATE).stat()
        epoch = _epoch(folder / _STATE, written.st_mtime_ns, written.st_size)
    except OSError:
        epoch = None
    known = isinstance(epoch, int | float) and not isinstance(epoch, bool) and 0 <= epoch < _MOST_EPOCHS
    return f"step {step:,}" + (f", epoch {epoch:.3g}" if known else "")
