"""Who asks: the visitor of the current request, the Hub token that is his own, and how often he may ask."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from attnflow import limits
from attnflow.errors import AttnflowError, EndedError, GoneError, TooManyRequestsError, brief

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
    address: str | None = field(default=None, compare=False)
    """Where he asks from, under which the files are kept that he sent."""
    gpu_token: str | None = field(default=None, repr=False, compare=False)
    """What a Space with ZeroGPU knows by whose time a GPU works."""


@dataclass
class _Served:
    """A visitor while something is done for him."""

    visitor: Visitor | None
    counted: bool = False
    """Whether it was counted as a request of his."""


_served: ContextVar[_Served | None] = ContextVar("attnflow_served", default=None)


@contextmanager
def serving(visitor: Visitor | None) -> Generator[None]:
    """Do something for a visitor; None for nobody in particular, such as a program that uses the library.

    What is refused before it was counted counts all the same: whoever sends nothing but nonsense is stopped, too.

    Raises:
        EndedError: If what was done wants to end the process: one request must not take all others with it.
    """
    served = _Served(visitor)
    before = _served.set(served)
    try:
        yield
    except AttnflowError:
        if visitor is not None and not served.counted:
            _rate.count(visitor.name)
        raise
    except (SystemExit, KeyboardInterrupt) as error:
        raise EndedError(
            f"The analysis was ended before it had a result ({brief(error)}); try again, or choose another checkpoint."
        ) from error
    finally:
        _served.reset(before)


def name() -> str | None:
    """The name of the visitor who is served; None for a program that uses the library itself."""
    served = _served.get()
    return served.visitor.name if served and served.visitor else None


def address() -> str | None:
    """Where the visitor who is served asks from; None for a program that uses the library itself."""
    served = _served.get()
    return served.visitor.address if served and served.visitor else None


def stay() -> None:
    """Raise if the visitor who is served went away.

    Raises:
        GoneError: If so: nobody reads it.
    """
    served = _served.get()
    if served is not None and served.visitor is not None and served.visitor.left():
        raise GoneError("The program that asked for this has left; nothing more is computed for it.")


def own_token() -> str | None:
    """Hub access token of the visitor who is served, if he signed in."""
    served = _served.get()
    return served.visitor.token if served and served.visitor else None


def gpu_token() -> str | None:
    """What tells ZeroGPU by whose time a GPU works, if the visitor who is served has it."""
    served = _served.get()
    return served.visitor.gpu_token if served and served.visitor else None


class AtOnce:
    """So many calls of each visitor at the same time, those that wait included.

    Args:
        most: Calls that are taken.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def one(self, name: str | None) -> Generator[None]:
        """Take a call while this context lasts; of nobody in particular as many as come.

        Raises:
            TooManyRequestsError: If the visitor has so many already.
        """
        if name is None:
            yield
            return
        with self._lock:
            if self._taken[name] >= self._most:
                raise TooManyRequestsError(
                    f"{self._most} calls of yours wait or run already, which is the most of one visitor; let one of "
                    "them end first."
                )
            self._taken[name] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[name] -= 1
                if not self._taken[name]:
                    del self._taken[name]


class RateLimit:
    """So many requests of each visitor in any minute.

    Args:
        most: Requests that are granted.
        clock: Seconds that never go back.
        what: What is counted, for the sentence.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic, *, what: str = "model runs") -> None:
        self._most = most
        self._clock = clock
        self._what = what
        self._granted: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, name: str) -> None:
        """Grant a visitor one more request.

        Raises:
            TooManyRequestsError: If he had his share; a refused request does not count.
        """
        now = self._clock()
        with self._lock:
            granted = self._of(name, now)
            if len(granted) >= self._most:
                wait = math.ceil(granted[0] + _SECONDS - now)
                raise TooManyRequestsError(
                    f"You asked for {len(granted)} {self._what} within a minute, which is the most this machine grants "
                    f"one visitor; wait {wait} seconds."
                )
            granted.append(now)

    def count(self, name: str) -> None:
        """Count one more request of a visitor without refusing it."""
        now = self._clock()
        with self._lock:
            granted = self._of(name, now)
            if len(granted) < self._most:
                granted.append(now)

    def _of(self, name: str, now: float) -> deque[float]:
        """When the last minute's requests of a visitor came."""
        granted = self._granted.setdefault(name, deque())
        self._granted.move_to_end(name)
        if len(self._granted) > _MOST_VISITORS:
            self._granted.popitem(last=False)
        while granted and granted[0] <= now - _SECONDS:
            granted.popleft()
        return granted


calls = AtOnce(limits.CALLS_OF_ONE)
"""Calls of endpoints."""
_rate = RateLimit(limits.REQUESTS_PER_MINUTE)


def admit() -> None:
    """Count one request of the visitor who is served.

    Raises:
        TooManyRequestsError: If he asks too often.
    """
    served = _served.get()
    if served is not None and served.visitor is not None:
        served.counted = True
        _rate.admit(served.visitor.name)
