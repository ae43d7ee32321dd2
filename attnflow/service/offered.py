"""Folders of this machine that its operator offers to visitors, by name, and nothing else on its disk."""

from __future__ import annotations

import os
import re
from pathlib import Path

from attnflow.errors import SelectionError

PREFIX = "local/"
"""What the names begin with that visitors see."""
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


class Offered:
    """The folders inside one folder, which an environment variable names. A Space, open to anybody, offers none.

    Args:
        variable: Of the environment.
        what: What each folder is, for sentences.
        mark: A file that each of them holds, as a pattern of `Path.glob`.
    """

    def __init__(self, variable: str, what: str, mark: str) -> None:
        self.variable, self._what, self._mark = variable, what, mark

    @property
    def _top(self) -> Path | None:
        """The folder that holds them, as it is now."""
        told = os.environ.get(self.variable, "")
        return Path(told).expanduser().resolve() if told and not os.environ.get("SPACE_ID") else None

    def names(self) -> list[str]:
        """What is offered now, as visitors see it."""
        top = self._top
        try:
            found = sorted(top.iterdir()) if top is not None else []
        except OSError:
            return []
        return [f"{PREFIX}{place.name}" for place in found if self._is_one(place)]

    def folder(self, name: str) -> Path:
        """The folder of a name.

        Raises:
            SelectionError: If nothing of that name is offered, or a link leads out of it.
        """
        own, top = name.removeprefix(PREFIX), self._top
        if name.startswith(PREFIX) and top is not None and _NAME.fullmatch(own) and self._is_one(top / own):
            return top / own
        offered = ", ".join(self.names()[:20]) or "nothing"
        raise SelectionError(f"There is no {self._what} {name[:100]!r} here; this page offers {offered}.")

    def version(self, name: str) -> int:
        """When what a name stands for was written, in nanoseconds; raises as `folder`."""
        return max(file.stat().st_mtime_ns for file in self.folder(name).glob(self._mark))

    def _is_one(self, place: Path) -> bool:
        """Whether it is a folder that holds what it should, none of it a link to elsewhere."""
        if not _NAME.fullmatch(place.name) or place.is_symlink() or not place.is_dir():
            return False
        return any(file.is_file() for file in place.glob(self._mark)) and not any(
            inner.is_symlink() for inner in place.rglob("*")
        )


surveys = Offered("ATTNFLOW_SURVEYS", "survey", "texts.parquet")
"""What `attnflow survey` wrote."""
corpora = Offered("ATTNFLOW_CORPORA", "run over a corpus", "corpus.json")
"""What `attnflow corpus` wrote."""
dynamics = Offered("ATTNFLOW_DYNAMICS", "recording of a training", "**/dynamics_epoch_*.jsonl*")
"""What `TrainingDynamics` or cartography wrote."""
