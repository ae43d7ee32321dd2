"""A run over a corpus, cut into parts: what is to be computed, what is there already, and how long the rest takes."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from attnflow import progress
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.corpus.corpus_part import Part, compute_part
from attnflow.corpus.part_files import Folder
from attnflow.lazy import lazy
from attnflow.records.corpus import CorpusSettings
from attnflow.records.texts import Text


@dataclass(frozen=True)
class Task:
    """One part of a run, as it is sent to whoever computes it; any part may be computed again, by anyone."""

    name: str
    """Of its file: its number, and a hash of all that the numbers depend on."""
    texts: Sequence[Text]
    groups: Sequence[str]
    """`[N]`: the group of each text."""
    settings: CorpusSettings
    folder: Folder | None
    """Where it is kept."""

    def kept(self) -> Part | None:
        """What was computed before; None if it was not, or is damaged."""
        return None if self.folder is None else Part.from_bytes(self.folder.read(self.name), self.settings)

    def compute(self, checkpoint: Checkpoint, done: Callable[[int], object] = lambda texts: None) -> Part:
        """Read its texts, and keep what came of them.

        Raises:
            SelectionError: If it cannot be kept, because the disk is full or for another reason.
        """
        part = compute_part(checkpoint, self.texts, self.groups, self.settings, done)
        if self.folder is not None:
            self.folder.write(self.name, part.to_bytes(self.settings))
        return part


@dataclass(frozen=True, eq=False)
class Run:
    """All parts of a run."""

    checkpoint: Checkpoint
    texts: Sequence[Text]
    groups: Sequence[str]
    """`[N]`: the group of each text."""
    settings: CorpusSettings
    folder: Folder | None
    """Where parts are kept; in memory alone if None."""

    def __len__(self) -> int:
        return -(-len(self.texts) // self.settings.part_size)

    @lazy
    def _key(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self.settings), sort_keys=True).encode()).hexdigest()[:16]

    def task(self, number: int) -> Task:
        """A part by its number, from 0."""
        rows = slice(number * self.settings.part_size, (number + 1) * self.settings.part_size)
        name = f"part-{number:06d}-{self._key}.npz"
        return Task(name, self.texts[rows], self.groups[rows], self.settings, self.folder)


class Pace:
    """Tells how many texts are done, and how long the rest will take at the pace of this run so far.

    Parts that were there before took no time in this run, and so say nothing of the rest. Nor does the part that is
    being read, whose short texts come first: nothing is told before the first part is done.

    Args:
        what: What is going on, such as "Reading 1,000 texts with demo/finetuned".
        total: Texts in all.
        clock: Seconds that never go back.
    """

    def __init__(self, what: str, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._total, self._clock = what, total, clock
        self._began = clock()
        self.before = 0
        """Texts of parts that were there."""
        self.computed = 0
        """Texts of parts that were computed in this run."""
        self._seconds = 0.0

    def found(self, texts: int) -> None:
        """Note a part that was there."""
        self.before += texts
        self.tell()

    def finished(self, texts: int) -> None:
        """Note a part that was computed."""
        self.computed += texts
        self._seconds = self._clock() - self._began
        self.tell()

    def tell(self, more: int = 0) -> None:
        """Report, with so many texts of the part that is being read."""
        done = self.before + self.computed + more
        progress.tell(f"{self._what}{self._rest(self._total - done)}", done / self._total)

    def _rest(self, left: int) -> str:
        if not self.computed or not left:
            return ""
        seconds = self._seconds / self.computed * left
        if seconds < 90:
            return f", about {max(round(seconds), 1)} s left"
        return f", about {seconds / 60:.0f} min left" if seconds < 5400 else f", about {seconds / 3600:.1f} h left"
