"""A lock for what the ends of objects change, too, whichever thread they come in."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any


class FinalizerLock:
    """Held like any lock, and what a finalizer has to do under it is handed in.

    Python calls finalizers of cycles in whatever thread happens to search for garbage, between any two steps of it, and
    so perhaps in one that holds the lock; if such a finalizer waited for the lock, the thread would wait for itself.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._to_do: deque[Callable[[], None]] = deque()

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            self._catch_up()
        except BaseException:
            self._lock.release()
            raise

    def __exit__(self, *_: Any) -> None:
        self._lock.release()
        self._finish()

    def do(self, action: Callable[[], None]) -> None:
        """Do something under the lock without ever waiting: now, or else before whoever takes the lock next goes on.

        Args:
            action: What to do. It takes no lock that is not of this kind.
        """
        self._to_do.append(action)
        self._finish()

    def _finish(self) -> None:
        """Do what was handed in, unless somebody holds the lock, who then does it when he lets go of it."""
        while self._to_do and self._lock.acquire(blocking=False):
            try:
                self._catch_up()
            finally:
                self._lock.release()

    def _catch_up(self) -> None:
        while self._to_do:
            self._to_do.popleft()()
