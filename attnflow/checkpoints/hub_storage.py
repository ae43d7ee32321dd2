"""Keeps what attnflow downloads within a bound on disk; what other programs put there is never touched."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attnflow.errors import CheckpointError

PRIVATE = "private"
"""Folder, inside the cache, of what needed a visitor's token; below it is one folder for each token."""
_MARK = ".attnflow"
"""A file in the folder of a repository that attnflow made; its time is that of the last use."""
_PRIVATE_SECONDS = 24 * 3600.0
"""A sign-in ends after some hours, and then nobody can find what it opened."""

_PUBLIC = ".attnflow-public"
"""A file in the folder of a repository; its time is that of the last answer of the Hub that anyone may read it."""
_PUBLIC_SECONDS = 24 * 3600.0
_UNFINISHED_SECONDS = 600.0
"""Whoever still writes to a download writes more often than that."""

_in_use: Counter[Path] = Counter()
_lock = threading.Lock()


def note_use(folder: Path) -> None:
    """Make the folder of a repository if it is not there, and remember that it was used just now.

    A folder that is there without our mark belongs to another program (or was preloaded) and is left alone.
    """
    with suppress(OSError):  # a cache that cannot be written to holds nothing of ours
        if not folder.exists():
            folder.mkdir(parents=True)
            (folder / _MARK).touch()
        elif (folder / _MARK).exists():
            os.utime(folder / _MARK)


def note_public(folder: Path) -> None:
    """Remember that the Hub just said of a repository that anyone may read it."""
    with suppress(OSError):
        (folder / _PUBLIC).touch()


def forget_public(folder: Path) -> None:
    """Remember no longer that anyone may read a repository."""
    with suppress(OSError):
        (folder / _PUBLIC).unlink(missing_ok=True)


def was_public(folder: Path) -> bool:
    """Whether the Hub said within the last day that anyone may read a repository, and nothing else since."""
    try:
        return (folder / _PUBLIC).stat().st_mtime > time.time() - _PUBLIC_SECONDS
    except OSError:
        return False


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Keep a repository on disk while this context lasts."""
    with _lock:
        _in_use[folder] += 1
        note_use(folder)
    try:
        yield
    finally:
        with _lock:
            _in_use[folder] -= 1
            if not _in_use[folder]:
                del _in_use[folder]
            note_use(folder)


@contextmanager
def using(cache: Path, folder: Path, wanted: int, limit: int) -> Iterator[None]:
    """Make room for a repository, and keep it on disk while this context lasts.

    Args:
        cache: The cache of the machine, which also holds the folder of private repositories.
        folder: Where the repository is, or will be.
        wanted: Bytes of all its files, those that are there already included.
        limit: Bytes that all downloads together may take.

    Raises:
        CheckpointError: If it cannot fit.
    """
    with holding(folder):
        _make_room(cache, folder, wanted, limit)
        yield


def _make_room(cache: Path, folder: Path, wanted: int, limit: int) -> None:
    """Remove what was used longest ago, and never what is in use, until a repository fits."""
    if wanted > limit:
        raise CheckpointError(
            f"This checkpoint takes {wanted / 1e6:,.0f} MB of disk; this machine keeps at most "
            f"{limit / 1e6:,.0f} MB. Choose a smaller checkpoint."
        )
    with _lock:
        _sweep(cache)
        kept = {place: size(place) for place in downloaded(cache) if place != folder}
        others = sum(kept.values())
        expired = time.time() - _PRIVATE_SECONDS
        for place in sorted(kept, key=_last_use):
            outlived = place.parent.parent.name == PRIVATE and _last_use(place) < expired
            if not _in_use[place] and (outlived or others + wanted > limit):
                shutil.rmtree(place, ignore_errors=True)
                others -= kept[place]
        if others + wanted > limit:
            raise CheckpointError(
                "The disk of this machine is taken by checkpoints that are being loaded at the moment; try again in a "
                "minute."
            )


def _sweep(cache: Path) -> None:
    """Remove what is left of downloads that a killed process did not finish; they would never be read again."""
    for folder in downloaded(cache):
        if not _in_use[folder]:
            for path in (folder / "blobs").glob("*.incomplete"):
                with suppress(OSError):
                    if path.stat().st_mtime < time.time() - _UNFINISHED_SECONDS:
                        path.unlink()


def downloaded(cache: Path) -> list[Path]:
    """The folders of all repositories that attnflow downloaded."""
    return [mark.parent for pattern in ("*", f"{PRIVATE}/*/*") for mark in cache.glob(f"{pattern}/{_MARK}")]


def _last_use(folder: Path) -> float:
    try:
        return (folder / _MARK).stat().st_mtime
    except OSError:  # another process has just removed it
        return 0.0


def size(folder: Path) -> int:
    """Bytes of the files of a folder; a link to a file of the same folder takes none."""
    total = 0
    for top, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(top, name)).st_size
    return total
