"""Moments of one training: the folders `checkpoint-N` that a Trainer leaves, beside which lies what it ended with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from attnflow.checkpoints.plain_json import read_object
from attnflow.checkpoints.repository_files import CONFIG, WEIGHTS
from attnflow.errors import CheckpointError

_FOLDER = re.compile(r"checkpoint-(\d{1,12})")
_STATE = "trainer_state.json"
"""Written last of what makes up a checkpoint: without it, it may still be half written."""
_LARGEST_STATE = 50 * 10**6
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
    try:
        found = sorted((int(named[1]), place) for place in folder.iterdir() if (named := _FOLDER.fullmatch(place.name)))
    except OSError:
        return ()
    moments = [Moment(place.name, _label(step, place)) for step, place in found if is_whole(place)][-MOST:]
    return (*moments, END) if is_checkpoint(folder) else tuple(moments)


def is_run(folder: Path) -> bool:
    """Whether a folder is a checkpoint, or holds some of one training."""
    return is_checkpoint(folder) or bool(moments_of_run(folder))


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
    if not revision and (is_checkpoint(folder) or not moments_of_run(folder)):
        return folder  # what is wrong with it is told by whoever reads it
    if (
        revision
        and _FOLDER.fullmatch(revision)
        and is_whole(folder / revision)
        and not (folder / revision).is_symlink()
    ):
        return folder / revision
    known = [moment.revision for moment in moments_of_run(folder) if moment.revision]
    listed = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
    raise CheckpointError(
        f"{name} has no checkpoint {str(revision)[:60]!r}; it has {listed or 'none along the way'}."
        if revision
        else f"{name} holds no checkpoint of its own; give one along the way as its revision: {listed}."
    )


def _label(step: int, folder: Path) -> str:
    try:
        epoch = read_object(folder / _STATE, most_bytes=_LARGEST_STATE, most_values=5 * 10**6).get("epoch")
    except ValueError:
        epoch = None
    return f"step {step:,}" + (f", epoch {epoch:.3g}" if isinstance(epoch, int | float) else "")
