"""Checkpoints of this machine: the bundled pair, what its operator offers, and the moments of their trainings."""

from __future__ import annotations

from pathlib import Path

from attnflow.bundled import ASSETS
from attnflow.checkpoints.checkpoint import BUNDLED
from attnflow.checkpoints.hub_moments import moments_on_hub
from attnflow.checkpoints.moments import Moment, is_checkpoint, moments_of_run
from attnflow.service.offered import PREFIX, models


def names() -> list[str]:
    """What needs no Hub, now: the bundled pair, and what is in the operator's folder."""
    return [*BUNDLED, *models.names()]


def own(ref: object) -> tuple[str, str | None] | None:
    """The checkpoint of this machine that a reference names, and the moment of its training; None if it names another.

    Whether there is one of that name is seen when it is loaded. `local/…` is the operator's once he offers any.
    """
    name, _, moment = ref.strip().partition("@") if isinstance(ref, str) else ("", "", "")
    if name.startswith(PREFIX) and models.any:
        return name, moment.strip() or None
    if name.rstrip("/") in BUNDLED:
        return name.rstrip("/"), moment.strip() or None
    return None


def folder_of(name: str) -> Path | None:
    """The folder of a checkpoint that the operator offers; None of what is bundled.

    Raises:
        CheckpointError: If nothing of that name is offered.
    """
    return None if name in BUNDLED else models.folder(name)


def newest(name: str) -> str | None:
    """The moment that is meant by the name of a training alone: its end, or its last checkpoint while it goes on."""
    folder = folder_of(name)
    found = () if folder is None or is_checkpoint(folder) else moments_of_run(folder)
    return found[-1].revision if found else None


def moments_of(ref: str, token: str | None = None) -> tuple[Moment, ...]:
    """The checkpoints of the training that a checkpoint comes from, first to last; none if no others are known.

    Args:
        ref: As a visitor names it; a moment, or revision, in it is not regarded.
        token: Access token for the Hub.

    Raises:
        CheckpointError: If it is no name of a checkpoint.
    """
    here = own(ref)
    if here is None:
        return moments_on_hub(ref, token)
    found = moments_of_run(folder_of(here[0]) or ASSETS / here[0])
    return found if len(found) > 1 else ()
