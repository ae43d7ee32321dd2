"""Runs code in processes that know the library and torch, but nothing of a test: forked, they are there at once."""

from __future__ import annotations

import io
import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from typing import TypeVar

T = TypeVar("T")

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(["attnflow.checkpoints.checkpoint", "attnflow.runtime.capture"])


def elsewhere(function: Callable[..., T], *arguments: object, seconds: float = 120) -> T:
    """What a function that can be imported returns in such a process; what it raises there is raised here."""
    with ProcessPoolExecutor(1, mp_context=_FORKING) as pool:
        return pool.submit(function, *arguments).result(seconds)


def printed(code: str, *arguments: str) -> str:
    """What code prints in such a process."""
    return elsewhere(_run, code, arguments)


def _run(code: str, arguments: tuple[str, ...]) -> str:
    sys.argv = ["-c", *arguments]
    with redirect_stdout(io.StringIO()) as out:
        exec(code, {"__name__": "__main__"})
    return out.getvalue()
