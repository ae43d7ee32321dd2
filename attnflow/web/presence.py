"""Who still listens for an answer: work for a program or page that has gone away is not worth going on with."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

GRACE = 3.0
"""Seconds in which a connection that broke may be made again."""
UNHEARD = 60.0
"""Seconds after which a call that nobody has listened to is given up; its answer would not be kept longer either."""
_REMEMBERED = 10_000


class Presence:
    """Which sessions and calls somebody listens to, as the gateway sees their connections.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: Counter[str] = Counter()
        self._closed: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def listening(self, name: str) -> Iterator[None]:
        """Somebody listens to a session or call while this context lasts."""
        with self._lock:
            self._open[name] += 1
            self._closed.pop(name, None)
        try:
            yield
        finally:
            with self._lock:
                self._open[name] -= 1
                if not self._open[name]:
                    del self._open[name]
                    self._closed[name] = self._clock()
                    if len(self._closed) > _REMEMBERED:
                        self._closed.popitem(last=False)

    def watch(self, name: str) -> Callable[[], bool]:
        """Begin work for a session or call; gives what tells whether whoever asked has gone away."""
        begun = self._clock()

        def left() -> bool:
            with self._lock:
                if name in self._open:
                    return False
                closed = self._closed.get(name)
            now = self._clock()
            # A connection that closed before this work began was about something else.
            return now - closed > GRACE if closed is not None and closed >= begun else now - begun > UNHEARD

        return left


presence = Presence()
"""That of the app."""
