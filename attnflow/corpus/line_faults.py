"""A file that somebody annotated by hand: opened as UTF-8, with a sentence about the first line that is wrong."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from attnflow.errors import TextsError


class LineFault(Exception):
    """What is wrong with a row: how that goes on after a number of rows, and the sentence about its line."""

    def __init__(self, reason: str, line: int, sentence: str) -> None:
        super().__init__(f"line {line:,}: {sentence}")
        self.reason = reason


@contextmanager
def opened(path: str) -> Generator[TextIO]:
    """A file of UTF-8, to be read while this lasts.

    Raises:
        TextsError: If it cannot be read, or with the fault that is raised inside.
    """
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            yield file
    except LineFault as fault:
        raise TextsError(f"{path}, {fault}") from None
    except UnicodeDecodeError as error:
        raise TextsError(f"{path} is not UTF-8 ({error.reason}); save it as UTF-8.") from None
    except OSError as error:
        raise TextsError(f"{path} cannot be read: {error.strerror}.") from None
