"""How far long work has come and what is found so far, told to whoever waits for it; and whether it is to end early."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from attnflow.errors import GoneError

T = TypeVar("T")

Listener = Callable[[str, float], object]
"""Is given what is going on, for a reader, and the share of it that is done, from 0 to 1."""
Check = Callable[[], None]
"""Returns if the work may go on, and raises what ends it."""


Taker = Callable[[Any], object]
"""Is given what is found so far."""
_Finder = Callable[[type], Taker | None]
"""Tells who takes results of a kind."""

_listener: ContextVar[Listener | None] = ContextVar("attnflow_listener", default=None)
_finder: ContextVar[_Finder | None] = ContextVar("attnflow_finder", default=None)
_check: ContextVar[Check | None] = ContextVar("attnflow_check", default=None)


@contextmanager
def reporting(listener: Listener | None) -> Iterator[None]:
    """Let a function know of the progress of what is done in this context; None leaves it to whoever listens."""
    if listener is None:
        yield
        return
    before = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(before)


@contextmanager
def part(begin: float, end: float, name: str = "") -> Iterator[None]:
    """What is done in this context is a part of the work, from one share of it to another.

    Args:
        begin: Share of the whole that is done before it.
        end: Share of the whole that is done after it.
        name: Stands before what it tells, such as `A`.
    """
    outer = _listener.get()
    if outer is None:
        yield
        return
    with reporting(lambda what, share: outer(f"{name}: {what}" if name else what, begin + (end - begin) * share)):
        yield


@contextmanager
def untold() -> Iterator[None]:
    """What is done in this context is too small a part of the work to tell of: who does the whole does."""
    listener, finder = _listener.set(None), _finder.set(None)
    try:
        yield
    finally:
        _listener.reset(listener)
        _finder.reset(finder)


def tell(what: str, share: float) -> None:
    """Report progress, if somebody wants to know."""
    listener = _listener.get()
    if listener is not None:
        listener(what, share)


def wanted() -> bool:
    """Whether somebody wants to know."""
    return _listener.get() is not None


@contextmanager
def taking(kind: type[T], take: Callable[[T], object]) -> Iterator[None]:
    """Let a function have the results of one kind that are offered in this context before they are complete."""
    outer = _finder.get()

    def find(wanted: type) -> Taker | None:
        if issubclass(wanted, kind):
            return take
        return None if outer is None else outer(wanted)

    before = _finder.set(find)
    try:
        yield
    finally:
        _finder.reset(before)


def _taker(kind: type) -> Taker | None:
    find = _finder.get()
    return None if find is None else find(kind)


def taken(kind: type) -> bool:
    """Whether somebody wants results of this kind before they are complete."""
    return _taker(kind) is not None


def offer(found: object) -> None:
    """Show what is found so far, if somebody wants results of this kind."""
    take = _taker(type(found))
    if take is not None:
        take(found)


@contextmanager
def ending(check: Check) -> Iterator[None]:
    """Let a function end what is done in this context, and what one around it would end."""
    outer = _check.get()

    def both() -> None:
        if outer is not None:
            outer()
        check()

    before = _check.set(both)
    try:
        yield
    finally:
        _check.reset(before)


def go_on() -> None:
    """Raise if what is done in this context is to end; every attention layer that runs asks."""
    check = _check.get()
    if check is not None:
        check()


class Watcher:
    """One who waits for work that others may wait for, too: what tells him, in the context that it is made in."""

    def __init__(self) -> None:
        self.listener, self.find = _listener.get(), _finder.get()


@contextmanager
def shared(watchers: Sequence[Watcher]) -> Iterator[None]:
    """Do what several may wait for: all are told, and who gives it up does not end it for the others.

    Args:
        watchers: All who wait, which may change meanwhile; whoever does the work is the first.
    """
    own = _check.get()

    def check() -> None:
        try:
            if own is not None:
                own()
        except GoneError:
            if len(watchers) < 2:
                raise

    def tell_all(what: str, share: float) -> None:
        for watcher in list(watchers):
            if watcher.listener is not None:
                watcher.listener(what, share)

    def find(kind: type) -> Taker | None:
        takers = [take for one in list(watchers) if one.find is not None and (take := one.find(kind)) is not None]

        def take_all(found: object) -> None:
            for take in takers:
                take(found)

        return take_all if takers else None

    before = _check.set(check), _finder.set(find)
    try:
        with reporting(tell_all):
            yield
    finally:
        _check.reset(before[0])
        _finder.reset(before[1])
