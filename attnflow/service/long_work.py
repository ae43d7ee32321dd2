"""Long work for a visitor: counted as his, in its turn, within its time, and giving way to what takes a moment."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from attnflow import progress
from attnflow.runtime.memory import within_memory
from attnflow.service import visitors
from attnflow.service.deadline import within
from attnflow.service.places import Places, give_way


def giving_way() -> progress.Listener:
    """What is told how far long work has come: it lets short work in between, and tells whoever waits here."""
    told = progress.Watcher().listener

    def listen(what: str, share: float) -> None:
        give_way()
        if told is not None:
            told(what, share)

    return listen


@contextmanager
def long_work(places: Places, seconds: float, what: str, advice: str, *models: str) -> Generator[progress.Listener]:
    """Do long work inside, once it is its turn.

    Args:
        places: Who works now.
        seconds: How long it may take, its waiting included.
        what: What that is given for, such as `one reading`.
        advice: What to do about it.
        *models: Names of the checkpoints that run.

    Returns:
        What is told how far it has come (`giving_way`).

    Raises:
        TooManyRequestsError: If this visitor, or too many others, ask for so much.
        TooLongError: From inside, once it has taken longer.
        NoRoomError: From inside, if a GPU has no memory left.
    """
    visitors.admit()
    memory = within_memory(" and ".join(models), "texts")
    with within(seconds, what, advice), places.one(visitors.name(), long=True), memory:
        yield giving_way()
