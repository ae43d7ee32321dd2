"""How far long work has come, told to whoever waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Report = Callable[[str, float], None]
"""Is given what is going on, for a reader, and the share of it that is done, from 0 to 1."""

_report: ContextVar[Report | None] = ContextVar("attnflow_report", default=None)


@contextmanager
def reporting(report: Report) -> Iterator[None]:
    """Let a function know of the progress of what is done in this context."""
    before = _report.set(report)
    try:
        yield
    finally:
        _report.reset(before)


def tell(what: str, share: float) -> None:
    """Report progress, if somebody wants to know."""
    report = _report.get()
    if report is not None:
        report(what, share)


def wanted() -> bool:
    """Whether somebody wants to know."""
    return _report.get() is not None
