"""Everything that can go wrong by a user's doing, as one small tree of exceptions.

Each message is one sentence for the person who asked: what came, what was expected, what to do.
"""

from __future__ import annotations

import re

_FOLDERS = re.compile(r"(?<![\w:])/(?:[^\s'\",:]+/)+")


class AttnflowError(Exception):
    """Base of all errors whose message may be shown to a user as it is."""


class CheckpointError(AttnflowError):
    """A checkpoint cannot be found, reached, or loaded safely."""


class UnsupportedArchitectureError(CheckpointError):
    """A checkpoint was found, but its architecture cannot be analysed."""


class TextsError(AttnflowError):
    """A collection of texts cannot be found, reached, or read safely."""


class TooManyRequestsError(AttnflowError):
    """A visitor asks more often than this machine can serve."""


class EndedError(AttnflowError):
    """What a request ran ended as if it were the whole program."""


class TooLongError(AttnflowError):
    """A request takes longer than this machine gives one."""


class GoneError(AttnflowError):
    """Whoever asked has gone away, so nothing more is computed for him."""


class CancelledError(GoneError):
    """Whoever asked has cancelled it; no fault."""


class SupersededError(GoneError):
    """What a request asked for is no longer wanted, because its visitor has asked for something newer; no fault."""


class NoRoomError(AttnflowError):
    """The memory of a GPU does not hold what a request asks for."""


class NoGpuError(AttnflowError):
    """A Space that is lent GPUs gets none for what a request asks for, or not for long enough."""


class NumberError(AttnflowError):
    """A checkpoint computed something that is no number, so there is nothing to tell."""


class TextError(AttnflowError):
    """A sentence is empty, too long, or cannot be tokenized."""


class LongTextError(TextError):
    """A text has more tokens than allowed, and nobody asked for it to be cut.

    Args:
        told: How long it is, what is allowed, and by how much it is to be shortened.
        way: How else to go on: how a cut is asked for.
    """

    def __init__(self, told: str, way: str = "ask for it to be cut (truncate=True)") -> None:
        super().__init__(told, way)  # both, as errors are pickled by what they are made of
        self.told = told
        self.way = way

    def __str__(self) -> str:
        """All in one sentence."""
        return f"{self.told}, or {self.way}."


class SelectionError(AttnflowError):
    """A layer, head, token, threshold or another choice is out of its range."""


def brief(error: BaseException) -> str:
    """Kind and first line of an error that is not ours, with the folders of this machine left out.

    If that line only announces what follows it (it ends with a colon), or begins the picture of an object that is drawn
    over many lines, it is told with the line after it, or the last one.
    """
    lines = str(error).strip().splitlines() or [""]
    line = lines[0]
    if lines[1:] and line.endswith((":", "(")):
        line = f"{line} {lines[1].strip()}" if line.endswith(":") else f"{line}...{lines[-1].strip()}"
    return f"{type(error).__name__}: {_FOLDERS.sub('', line)[:200]}"
