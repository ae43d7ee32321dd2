"""Who asks: the visitor of the current request, the Hub token that is his own, and how often he may ask."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from attnflow import limits
from attnflow.errors import EndedError, GoneError, TooManyRequestsError, brief

_SECONDS = 60.0
_MOST_VISITORS = 10_000


@dataclass(frozen=True)
class Visitor:
    """One person or program, as far as can be told."""

    name: str
    """What tells one visitor from another: the address, or who signed in."""
    token: str | None = field(default=None, repr=False)
    """Hub access token of the visitor; used for what he asks for and never kept."""
    left: Callable[[], bool] = field(default=lambda: False, repr=False, compare=False)
    """Whether he went away and no longer waits for the answer."""


_visitor: ContextVar[Visitor | None] = ContextVar("attnflow_visitor", default=None)


@contextmanager
def serving(visitor: Visitor | None) -> Iterator[None]:
    """Do something for a visitor; None for nobody in particular, such as a program that uses the library.

    Raises:
        EndedError: If what was done wants to end the process: one request must not take all others with it.
    """
    before = _visitor.set(visitor)
    try:
        yield
    except (SystemExit, KeyboardInterrupt) as error:
        raise EndedError(
            f"The analysis was ended before it had a result ({brief(error)}); try again, or choose another checkpoint."
        ) from error
    finally:
        _visitor.reset(before)


def name() -> str | None:
    """The name of the visitor who is served; None for a program that uses the library itself."""
    visitor = _visitor.get()
    return visitor.name if visitor else None


def stay() -> None:
    """Raise if the visitor who is served went away.

    Raises:
        GoneError: If so: nobody reads it.
    """
    visitor = _visitor.get()
    if visitor is not None and visitor.left():
        raise GoneError("The program that asked for this has left; nothing more is computed for it.")


def own_token() -> str | None:
    """Hub access token of the visitor who is served, if he signed in."""
    visitor = _visitor.get()
    return visitor.token if visitor else None


class RateLimit:
    """So many requests of each visitor in any minute.

    Args:
        most: Requests that are granted.
        clock: Seconds that never go back.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._granted: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, name: str) -> None:
        """Grant a visitor one more request.

        Raises:
            TooManyRequestsError: If he had his share; a refused request does not count.
        """
        now = self._clock()
        with self._lock:
            granted = self._granted.setdefault(name, deque())
            self._granted.move_to_end(name)
            if len(self._granted) > _MOST_VISITORS:
                self._granted.popitem(last=False)
            while granted and granted[0] <= now - _SECONDS:
                granted.popleft()
            if len(granted) >= self._most:
                wait = math.ceil(granted[0] + _SECONDS - now)
                raise TooManyRequestsError(
                    f"You asked for {len(granted)} model runs within a minute, which is the most this machine grants "
                    f"one visitor; wait {wait} seconds."
                )
            granted.append(now)


_rate = RateLimit(limits.REQUESTS_PER_MINUTE)


def admit() -> None:
    """Count one request of the visitor who is served.

    Raises:
        TooManyRequestsError: If he asks too often.
    """
    visitor = _visitor.get()
    if visitor is not None:
        _rate.admit(visitor.name)
