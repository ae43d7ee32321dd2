"""Folders of this machine that its operator offers to visitors, by name, and nothing else on its disk."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from attnflow.checkpoints.moments import is_run
from attnflow.errors import AttnflowError, CheckpointError, SelectionError

PREFIX = "local/"
"""What the names begin with that visitors see."""
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


class Offered:
    """The folders inside one folder, which an environment variable names. A Space, open to anybody, offers none.

    Args:
        variable: Of the environment.
        what: What each folder is, for sentences.
        mark: A file that each of them holds, as a pattern of `Path.glob`.
        is_one: Else what tells them from other folders.
        itself: Whether the folder that holds them may be one.
        error: Raised for what is not offered.
    """

    def __init__(
        self,
        variable: str,
        what: str,
        mark: str = "",
        *,
        is_one: Callable[[Path], bool] | None = None,
        itself: bool = False,
        error: type[AttnflowError] = SelectionError,
    ) -> None:
        self.variable, self._what, self._mark, self._itself, self._error = variable, what, mark, itself, error
        self._holds = is_one

    @property
    def _top(self) -> Path | None:
        """The folder that holds them, as it is now."""
        told = os.environ.get(self.variable, "")
        return Path(told).expanduser().resolve() if told and not os.environ.get("SPACE_ID") else None

    @property
    def any(self) -> bool:
        """Whether the operator names a folder."""
        return self._top is not None

    def names(self) -> list[str]:
        """What is offered now, as visitors see it."""
        top = self._top
        try:
            found = sorted(top.iterdir()) if top is not None else []
        except OSError:
            return []
        places = [*([top] if top is not None and self._itself else []), *found]
        return [f"{PREFIX}{place.name}" for place in places if self._is_one(place) and not _outward(place)]

    def folder(self, name: str) -> Path:
        """The folder of a name.

        Raises:
            SelectionError: If nothing of that name is offered, or a link leads out of it.
        """
        own, top = name.removeprefix(PREFIX), self._top
        if name.startswith(PREFIX) and top is not None and _NAME.fullmatch(own):
            place = top if self._itself and own == top.name and self._is_one(top) else top / own
            if self._is_one(place):
                link = _outward(place)
                if link is None:
                    return place
                raise self._error(
                    f"{name} holds {link.name}, which is a link to elsewhere; only plain files are read. Put the file "
                    "itself there."
                )
        offered = ", ".join(self.names()[:20]) or "nothing"
        raise self._error(f"There is no {self._what} {name[:100]!r} here; this page offers {offered}.")

    def version(self, name: str) -> int:
        """When what a name stands for was written, in nanoseconds; raises as `folder`."""
        return max(file.stat().st_mtime_ns for file in self.folder(name).glob(self._mark))

    def _is_one(self, place: Path) -> bool:
        """Whether it is a folder of its own that holds what it should."""
        if not _NAME.fullmatch(place.name) or place.is_symlink() or not place.is_dir():
            return False
        if self._holds is not None:
            return self._holds(place)
        return any(file.is_file() for file in place.glob(self._mark))


def _outward(place: Path) -> Path | None:
    """A link in a folder, which may lead to elsewhere."""
    return next((inner for inner in place.rglob("*") if inner.is_symlink()), None)


surveys = Offered("ATTNFLOW_SURVEYS", "survey", "texts.parquet")
"""What `attnflow survey` wrote."""
corpora = Offered("ATTNFLOW_CORPORA", "run over a corpus", "corpus.json")
"""What `attnflow corpus` wrote."""
models = Offered("ATTNFLOW_MODELS", "checkpoint", is_one=is_run, itself=True, error=CheckpointError)
"""Checkpoints and runs of a Trainer."""
dynamics = Offered("ATTNFLOW_DYNAMICS", "recording of a training", "**/dynamics_epoch_*.jsonl*")
"""What `TrainingDynamics` or cartography wrote."""
