"""Keeps surveys on disk beside the checkpoints, within a bound: what was read longest ago goes first."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from huggingface_hub import constants

from attnflow.checkpoints.hub_storage import size
from attnflow.corpus.survey_files import described
from attnflow.records.survey import SurveySettings

FOLDER = "attnflow-surveys"
"""Inside the cache of the Hub."""
_MARK = ".used"
"""A file in the folder of a survey; its time is that of the last use."""
_FRESH_SECONDS = 600.0
"""Another process may still write to what was used within these."""
_WORDS = 64
"""Words of a text, about, of which a survey keeps a number for each layer."""

_in_use: Counter[Path] = Counter()
_lock = threading.Lock()


@contextmanager
def keeping(settings: SurveySettings, limit: int) -> Iterator[Path | None]:
    """The folder of a survey, which is not removed while this context lasts.

    Args:
        settings: Of the survey.
        limit: Bytes that all surveys together may take.

    Yields:
        The folder, made or found; None if the survey is too large to be kept, or nothing can be written there.
    """
    top = Path(constants.HF_HUB_CACHE) / FOLDER
    name = hashlib.sha256(json.dumps(described(settings), sort_keys=True).encode()).hexdigest()[:32]
    folder, wanted = top / name, survey_bytes(settings)
    if wanted > limit:
        yield None
        return
    with _lock:
        made = _make_room(top, folder, limit - wanted) and _mark(folder)
        _in_use[folder] += 1
    try:
        yield folder if made else None
    finally:
        with _lock:
            _in_use[folder] -= 1
            if not _in_use[folder]:
                del _in_use[folder]
        if made:
            _mark(folder)


def survey_bytes(settings: SurveySettings) -> int:
    """Bytes that a survey takes on disk, about."""
    of = settings
    behaviour = 4 * of.n_layers * of.n_heads * len(of.kinds)
    row = 2 * (of.n_layers + 1) * of.width + behaviour + _WORDS * (5 + 4 * of.n_layers) + 4 * len(of.labels) + 200
    return of.n * row


def _make_room(top: Path, folder: Path, most: int) -> bool:
    """Remove what was used longest ago until the others take no more; whether they do."""
    others = {place: size(place) for place in _kept(top) if place != folder}
    total = sum(others.values())
    for place in sorted(others, key=_last_use):
        if total <= most:
            break
        if not _in_use[place] and _last_use(place) < time.time() - _FRESH_SECONDS:
            shutil.rmtree(place, ignore_errors=True)
            total -= others[place]
    return total <= most


def _kept(top: Path) -> list[Path]:
    with suppress(OSError):
        return [mark.parent for mark in top.glob(f"*/{_MARK}")]
    return []


def _mark(folder: Path) -> bool:
    """Remember that a survey was used just now; whether that could be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _MARK).touch()
        os.utime(folder / _MARK)
    except OSError:
        return False
    return True


def _last_use(folder: Path) -> float:
    try:
        return (folder / _MARK).stat().st_mtime
    except OSError:  # another process has just removed it
        return 0.0
