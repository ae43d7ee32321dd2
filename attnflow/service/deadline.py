"""Ends work that takes longer than this machine gives it, or that nobody waits for any more."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager

from attnflow import progress
from attnflow.errors import TooLongError
from attnflow.service import visitors


@contextmanager
def within(seconds: float, what: str, advice: str, *, end: float | None = None) -> Generator[None]:
    """Let what runs inside take so long at most.

    Args:
        seconds: How long that is.
        what: What it is given for, such as `one request`.
        advice: What to do about it.
        end: When it ends, by `time.monotonic`; so many seconds from now if None.

    Raises:
        TooLongError: From inside, once it has taken longer.
    """
    end = time.monotonic() + seconds if end is None else end

    def check() -> None:
        visitors.stay()
        if time.monotonic() > end:
            raise TooLongError(
                f"This took longer than {seconds:g} seconds, which is the most that this machine gives {what}; "
                f"{advice}."
            )

    with progress.ending(check):
        yield
