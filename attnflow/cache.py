"""A cache that is bounded in bytes and computes each missing value once, whoever asks for it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class BoundedCache(Generic[T]):
    """Keeps the values that were used last, up to a number of bytes.

    Threads that ask for the same missing key wait for one computation; a failed computation is not remembered. A value
    that alone exceeds the bound is returned and not kept.

    Args:
        max_bytes: The bound.
        size_of: Size of a value in bytes.
    """

    def __init__(self, max_bytes: int, size_of: Callable[[T], int]) -> None:
        self.max_bytes = max_bytes
        self._size_of = size_of
        self._values: OrderedDict[Hashable, T] = OrderedDict()
        self._under_way: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the value of a key, computing it if it is not there."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
            turn = self._under_way.setdefault(key, threading.Lock())
        with turn:
            with self._lock:
                if key in self._values:  # somebody else computed it while we waited
                    return self._values[key]
            try:
                value = compute()
                self._keep(key, value)
                return value
            finally:
                with self._lock:
                    self._under_way.pop(key, None)

    def find(self, key: Hashable) -> T | None:
        """Return the value of a key if it is there."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key]

    def _keep(self, key: Hashable, value: T) -> None:
        with self._lock:
            if self._size_of(value) > self.max_bytes:
                return
            self._values[key] = value
            while self.nbytes > self.max_bytes:
                self._values.popitem(last=False)

    @property
    def nbytes(self) -> int:
        """Bytes kept at the moment."""
        return sum(map(self._size_of, self._values.values()))

    def __len__(self) -> int:
        return len(self._values)
