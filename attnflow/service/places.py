"""Who computes now: so many at a time, short work before long, and nobody before those who have less."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count

from attnflow import progress
from attnflow.errors import TooManyRequestsError

_PATIENCE = 10.0
"""Seconds after which long work no longer lets short work pass."""
_LOOK = 0.2
"""Seconds after which one who waits looks whether he is still wanted."""


@dataclass(eq=False)
class _Ticket:
    name: str | None
    long: bool
    number: int
    since: float


@dataclass(eq=False)
class _Held:
    """A place that is held, and where."""

    places: Places
    ticket: _Ticket | None
    """None while those who wait go first."""


_holding: ContextVar[_Held | None] = ContextVar("attnflow_holding", default=None)
"""The place of what runs in this context: work inside of other work takes none of its own."""


def give_way() -> None:
    """Between two steps of long work, let those go first who could take its place; it then waits for one again."""
    held = _holding.get()
    if held is not None:
        held.places._give_way(held)  # pyright: ignore[reportPrivateUsage]  # of the same module


class Places:
    """Places for work that keeps a processor busy.

    The next place goes to whoever holds fewest; among equals short work goes before long, and then who came first.
    Long work never takes all places, so a short question is not behind a long one.

    Args:
        places: How many work at the same time.
        for_long: How many of them long work may take.
        most_waiting: How many may wait, of all.
        most_of_one: How many of one visitor may wait.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        places: int,
        for_long: int,
        most_waiting: int,
        most_of_one: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places, self._for_long = places, for_long
        self._most_waiting, self._most_of_one = most_waiting, most_of_one
        self._clock = clock
        self._working: list[_Ticket] = []
        self._waiting: list[_Ticket] = []
        self._numbers = count()
        self._changed = threading.Condition()

    @contextmanager
    def one(self, name: str | None, *, long: bool = False) -> Generator[None]:
        """Wait for a place and hold it while this context lasts.

        Args:
            name: The visitor; None for a program that uses the library itself.
            long: Whether the work is long.

        Raises:
            TooManyRequestsError: If too many wait.
        """
        if _holding.get() is not None:
            yield
            return
        held = _Held(self, self._take(name, long))
        before = _holding.set(held)
        try:
            yield
        finally:
            _holding.reset(before)
            with self._changed:
                if held.ticket is not None:
                    self._working.remove(held.ticket)
                self._changed.notify_all()

    def _take(self, name: str | None, long: bool, *, again: bool = False) -> _Ticket:
        """Wait for a place; who had one before is not sent away because many wait."""
        ticket = _Ticket(name, long, next(self._numbers), self._clock())
        with self._changed:
            if again:
                self._waiting.append(ticket)
            else:
                self._line_up(ticket)
            try:
                while self._next() is not ticket:
                    self._changed.wait(_LOOK)
                    progress.go_on()
            except BaseException:
                self._waiting.remove(ticket)
                self._changed.notify_all()
                raise
            self._waiting.remove(ticket)
            self._working.append(ticket)
            self._changed.notify_all()
        return ticket

    def _give_way(self, held: _Held) -> None:
        ticket = held.ticket
        if ticket is None:
            return
        with self._changed:
            self._working.remove(ticket)
            if self._next() is None:
                self._working.append(ticket)
                return
            held.ticket = None
            self._changed.notify_all()
        held.ticket = self._take(ticket.name, ticket.long, again=True)

    def _line_up(self, ticket: _Ticket) -> None:
        own = sum(one.name == ticket.name for one in self._waiting)
        if ticket.name is not None and own >= self._most_of_one:
            raise TooManyRequestsError(
                f"{own} analyses of yours wait already, which is the most of one visitor; let one of them end first."
            )
        if len(self._waiting) >= self._most_waiting:
            raise TooManyRequestsError(
                f"{len(self._waiting)} analyses wait for this machine already, which is the most it takes; try again "
                "in a minute."
            )
        self._waiting.append(ticket)

    def _next(self) -> _Ticket | None:
        """Who of those who wait takes the next place; None if there is none for anybody."""
        if len(self._working) >= self._places:
            return None
        held = Counter(one.name for one in self._working)
        room_for_long = sum(one.long for one in self._working) < self._for_long
        ready = [one for one in self._waiting if room_for_long or not one.long]
        late = self._clock() - _PATIENCE
        return min(ready, key=lambda one: (held[one.name], one.long and one.since > late, one.number), default=None)
