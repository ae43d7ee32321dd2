"""Attributes that are computed when they are first asked for, while nobody else has to wait."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import cached_property
from typing import Any, TypeVar

T = TypeVar("T")


class lazy(cached_property[T]):  # a decorator, as that is
    """As `functools.cached_property`, without the lock that it has before Python 3.12.

    It is one lock for all objects of a class, held while a value is computed: one visitor's run of a model would wait
    for that of another. Two threads that ask the same object at the same time both compute it.
    """

    def __init__(self, func: Callable[[Any], T]) -> None:
        super().__init__(func)
        self.lock = nullcontext()
