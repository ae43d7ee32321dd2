"""Files that visitors sent: in memory alone, each for its sender and for the page that opened it, and gone with it.

A file is told by a name that nobody can guess. Nothing of it is written to disk, so that nothing is left of it whatever
becomes of the process; and no path of this machine is ever the name of one.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from attnflow import limits
from attnflow.errors import TextsError
from attnflow.finalizer_lock import FinalizerLock

WAITS = 600.0
"""Seconds that a file is kept which no page has opened."""
_MOST_NAME = 100


@dataclass(eq=False)
class Upload:
    """A file that a visitor sent."""

    name: str
    data: bytes
    sender: str
    """The address that it came from."""
    since: float
    owner: str | None = None
    """The page that has opened it; nobody else may."""


class Uploads:
    """Files that were sent, bounded in memory.

    Args:
        most: Bytes of all files. Who holds most loses his oldest when there are more.
        most_of_one: Bytes of the files of one visitor, who loses his oldest when he sends more.
        clock: Seconds that never go back.
    """

    def __init__(self, most: int, most_of_one: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._most_of_one, self._clock = most, most_of_one, clock
        self._kept: OrderedDict[str, Upload] = OrderedDict()
        self._lock = FinalizerLock()  # pages go at any moment

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def nbytes(self) -> int:
        """Memory in bytes, about."""
        with self._lock:
            return sum(len(one.data) for one in self._kept.values())

    def keep(self, sender: str, name: str, data: bytes) -> str:
        """Keep a file, and return what it is called from now on.

        Args:
            sender: The address that it came from.
            name: As its sender calls it; only the last part counts.
            data: What is in it.

        Raises:
            TextsError: If it is larger than one visitor's files may be.
        """
        if len(data) > self._most_of_one:
            raise TextsError(
                f"{plain_name(name)} has {len(data):,} bytes; all files of one visitor have at most "
                f"{self._most_of_one:,}: send a smaller one."
            )
        called = f"sent-{secrets.token_hex(16)}"
        with self._lock:
            self._kept[called] = Upload(plain_name(name), data, sender, self._clock())
            self._make_room(sender)
        return called

    def open(self, called: str, sender: str | None, owner: str) -> Upload:
        """A file for a page, which is the only one that may open it from then on.

        Args:
            called: What `keep` returned.
            sender: The address that asks; None for a program that uses the library itself.
            owner: The page.

        Raises:
            TextsError: If this visitor sent no such file, another page of his has opened it, or it is forgotten.
        """
        with self._lock:
            found = self._kept.get(called)
            # One sentence for all of these: who guesses learns nothing.
            if found is None or found.sender != sender or found.owner not in (None, owner):
                raise TextsError(
                    "The server has no such file of yours, or has forgotten it; send the file again, and name nothing "
                    "but what you sent."
                )
            found.owner = owner
            return found

    def forget(self, owner: str) -> None:
        """Drop what a page has opened."""

        def drop() -> None:
            self._drop([called for called, one in self._kept.items() if one.owner == owner])

        self._lock.do(drop)

    def sweep(self) -> None:
        """Drop what was sent a while ago and no page has opened."""
        before = self._clock() - WAITS
        with self._lock:
            self._drop([called for called, one in self._kept.items() if one.owner is None and one.since <= before])

    def _make_room(self, sender: str) -> None:
        held: dict[str, int] = {}
        for one in self._kept.values():
            held[one.sender] = held.get(one.sender, 0) + len(one.data)
        while held[sender] > self._most_of_one or sum(held.values()) > self._most:
            loser = sender if held[sender] > self._most_of_one else max(held, key=lambda name: held[name])
            oldest = next(called for called, one in self._kept.items() if one.sender == loser)
            held[loser] -= len(self._kept[oldest].data)
            self._drop([oldest])

    def _drop(self, names: list[str]) -> None:
        for called in names:
            del self._kept[called]


def plain_name(name: str) -> str:
    r"""The last part of a file's name, in letters that can be shown, and not longer than anybody reads.

    Example:
        >>> plain_name("C:\\texts\\pairs.csv")
        'pairs.csv'
    """
    last = PurePosixPath(name.replace("\\", "/")).name
    shown = "".join(letter for letter in last if letter.isprintable()).strip()
    return shown[-_MOST_NAME:] or "file"


uploads = Uploads(limits.UPLOADS_BYTES, limits.UPLOADS_OF_ONE_BYTES)
"""Those of the app."""
