"""How far long work has come, told to whoever waits for it, and whether it is to end before it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str, float], None]
"""Is given what is going on, for a reader, and the share of it that is done, from 0 to 1."""
Check = Callable[[], None]
"""Returns if the work may go on, and raises what ends it."""

_listener: ContextVar[Listener | None] = ContextVar("attnflow_listener", default=None)
_check: ContextVar[Check | None] = ContextVar("attnflow_check", default=None)


@contextmanager
def reporting(listener: Listener) -> Iterator[None]:
    """Let a function know of the progress of what is done in this context."""
    before = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(before)


def tell(what: str, share: float) -> None:
    """Report progress, if somebody wants to know."""
    listener = _listener.get()
    if listener is not None:
        listener(what, share)


def wanted() -> bool:
    """Whether somebody wants to know."""
    return _listener.get() is not None


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
