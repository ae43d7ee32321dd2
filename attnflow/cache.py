"""A cache that is bounded in bytes and computes each missing value once, whoever asks for it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from attnflow import progress
from attnflow.errors import GoneError
from attnflow.finalizer_lock import FinalizerLock

T = TypeVar("T")
_LOOK = 0.1
"""Seconds after which one who waits for what another computes looks whether he still wants it."""


@dataclass(eq=False)
class _UnderWay(Generic[T]):
    """A value that is being computed, and all who wait for it, who computes it first."""

    future: Future[T] = field(default_factory=Future)
    watchers: list[progress.Watcher] = field(default_factory=list)


class _EndedError(Exception):
    """What another computes was ended, because nobody wanted it."""


class BoundedCache(Generic[T]):
    """Keeps the values that were used last, up to a number of bytes.

    Threads that ask for the same missing key share one computation, its failure and progress included; a failure is not
    remembered for those who ask later. Whoever wants it no more leaves (`GoneError`), and it goes on while anybody is
    left; who still wants one that was ended computes it himself. A value that alone exceeds the bound is returned and
    not kept. One that grows is counted as large as it is when it is used.

    Args:
        max_bytes: The bound.
        size_of: Size of a value in bytes.
    """

    def __init__(self, max_bytes: int, size_of: Callable[[T], int]) -> None:
        self.max_bytes = max_bytes
        self.nbytes = 0
        """Bytes kept at the moment."""
        self._size_of = size_of
        self._values: OrderedDict[Hashable, T] = OrderedDict()
        self._sizes: dict[Hashable, int] = {}
        self._under_way: dict[Hashable, _UnderWay[T]] = {}
        self._lock = FinalizerLock()  # what pages keep is forgotten when they go, which is at any moment

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the value of a key, computing it if it is not there."""
        while True:
            watcher = progress.Watcher()
            with self._lock:
                if key in self._values:
                    return self._used(key)
                shared = self._under_way.get(key)
                mine = shared is None
                if shared is None:
                    shared = self._under_way[key] = _UnderWay()
                shared.watchers.append(watcher)
            if mine:
                self._compute(key, compute, shared)
                return shared.future.result()
            try:
                return self._awaited(shared, watcher)
            except _EndedError:
                continue

    def _awaited(self, shared: _UnderWay[T], watcher: progress.Watcher) -> T:
        """What another thread computes; whoever waits for it may go.

        Raises:
            _EndedError: If the other thread was ended.
        """
        while not shared.future.done():
            try:
                progress.go_on()
            except BaseException:
                with self._lock:
                    shared.watchers.remove(watcher)
                raise
            wait((shared.future,), _LOOK)
        try:
            return shared.future.result()
        except GoneError as error:
            raise _EndedError from error

    def _compute(self, key: Hashable, compute: Callable[[], T], shared: _UnderWay[T]) -> None:
        try:
            with progress.shared(shared.watchers):
                value = compute()
            size = self._size_of(value)
        except BaseException as error:
            with self._lock:
                del self._under_way[key]
            shared.future.set_exception(error)
            return
        with self._lock:
            del self._under_way[key]
            if size <= self.max_bytes:
                self._values[key] = value
                self._measured(key, size)
        shared.future.set_result(value)

    def find(self, key: Hashable) -> T | None:
        """Return the value of a key if it is there."""
        with self._lock:
            return self._used(key) if key in self._values else None

    def _used(self, key: Hashable) -> T:
        """A value that is there, which is measured again, and goes itself if it has grown beyond the bound."""
        value = self._values[key]
        self._values.move_to_end(key)
        self._measured(key, self._size_of(value))
        return value

    def _measured(self, key: Hashable, size: int) -> None:
        """A value that is there has this size; what was used longest ago goes until all fit."""
        self.nbytes += size - self._sizes.get(key, 0)
        self._sizes[key] = size
        while self.nbytes > self.max_bytes:
            self._drop(next(iter(self._values)))

    def _drop(self, key: Hashable) -> None:
        del self._values[key]
        self.nbytes -= self._sizes.pop(key)

    def forget(self, which: Callable[[Hashable], bool]) -> None:
        """Drop the values of all keys that a function names; what is under way is kept when it is there."""

        def drop() -> None:
            for key in [key for key in self._values if which(key)]:
                self._drop(key)

        self._lock.do(drop)

    def __len__(self) -> int:
        return len(self._values)
