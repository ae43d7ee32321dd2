"""Recorded trainings that a visitor can choose: the bundled one, and what the operator of this machine offers."""

from __future__ import annotations

from pathlib import Path

from attnflow import limits
from attnflow.cache import BoundedCache
from attnflow.corpus.data_map import RECORDED, data_map
from attnflow.errors import SelectionError
from attnflow.records.dynamics import DataMap
from attnflow.records.trace import is_whole
from attnflow.service.offered import PREFIX, dynamics

BUNDLED = next(iter(RECORDED))
ABOUT = {BUNDLED: "An epoch here is a tenth of the fine-tuning; the texts are the first 2,000 of its 120,000 pairs."}
"""What is to be known of a recording, in a sentence."""
MOST_EPOCHS = 1_000
"""The largest `burn_out` that is asked for."""
_MOST_TOLD = 400
"""Characters of a note."""


class Recordings:
    """Data maps of recorded trainings, bounded in memory.

    Args:
        most_bytes: Of it.
    """

    def __init__(self, most_bytes: int) -> None:
        self._maps: BoundedCache[DataMap] = BoundedCache(most_bytes, _nbytes)

    def names(self) -> list[str]:
        """What can be chosen now."""
        return [*RECORDED, *dynamics.names()]

    def map(self, name: str, burn_out: int | None = None) -> DataMap:
        """The data map of a recording, or what is known of it.

        Args:
            name: One of `names`. Never a path.
            burn_out: Of the first how many epochs; of all if None.

        Raises:
            SelectionError: If there is no such recording, or it has fewer than two epochs that can be used.
        """
        if burn_out is not None and (not is_whole(burn_out) or not 2 <= burn_out <= MOST_EPOCHS):
            raise SelectionError(
                f"The first {burn_out!r} epochs are asked for; a data map needs 2 or more, up to {MOST_EPOCHS:,}."
            )
        place, version = self._place(name)
        return self._maps.get((name, version, burn_out), lambda: data_map(place, burn_out=burn_out))

    def _place(self, name: str) -> tuple[Path, int]:
        """Where a recording lies, and what tells that it was written anew."""
        if name in RECORDED:
            return RECORDED[name], 0
        if not name.startswith(PREFIX):
            listed = ", ".join(self.names()[:20])
            raise SelectionError(f"There is no recording of a training {name[:100]!r} here; choose {listed}.")
        return dynamics.folder(name), dynamics.version(name)


def told_notes(found: DataMap) -> list[str]:
    """What is missing in a recording, in sentences that are short enough to be shown."""
    return [note if len(note) <= _MOST_TOLD else f"{note[: _MOST_TOLD - 1]}…" for note in found.notes]


def _nbytes(found: DataMap) -> int:
    return 300 * len(found) + found.gold_probability.nbytes + found.right.nbytes


recordings = Recordings(limits.COLLECTION_CACHE_BYTES // 10)
"""Those of the app: page and endpoints share them."""
