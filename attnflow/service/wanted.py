"""Which of what a visitor asked for in one place of the page is still wanted: the last of it, until it is cancelled."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from attnflow.errors import CancelledError, SupersededError

CANCELLED = "Cancelled. What is shown is what was found until then."


class Wanted:
    """What is wanted in one place of one page.

    A copy is another place, as the state of each session of Gradio is.
    """

    def __init__(self) -> None:
        self._newest = 0
        self._cancelled = 0
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: Any) -> Wanted:
        return Wanted()

    def begin(self, sentence: str = CANCELLED) -> Callable[[], None]:
        """Ask for something, which ends what was asked for before.

        Args:
            sentence: What to tell once it is cancelled.

        Returns:
            What to call now and then (`progress.ending`): it raises `SupersededError` once something newer was asked
            for, and `CancelledError` once this is cancelled.
        """
        with self._lock:
            self._newest += 1
            mine = self._newest

        def check() -> None:
            if self._cancelled >= mine:
                raise CancelledError(sentence)
            if self._newest != mine:
                raise SupersededError("Something newer was asked for.")

        return check

    def cancel(self) -> None:
        """End all that was asked for until now."""
        with self._lock:
            self._cancelled = self._newest
