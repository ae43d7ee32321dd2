"""What is found out about a checkpoint by trying, kept with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Learnt:
    """Answers by name, each found once: who asks while another thread finds it waits for it."""

    def __init__(self) -> None:
        self._answers: dict[Hashable, Any] = {}
        self._lock = threading.RLock()  # finding one thing may ask for another

    def get(self, name: Hashable, find: Callable[[], T]) -> T:
        """Return the answer of a name, finding it if nobody has; what finding raises is not kept."""
        if name not in self._answers:
            with self._lock:
                if name not in self._answers:
                    self._answers[name] = find()
        return self._answers[name]

    def known(self, name: Hashable) -> Any | None:
        """The answer of a name if somebody has found it."""
        return self._answers.get(name)
