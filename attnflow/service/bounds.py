"""What this machine allows of one case: how large the checkpoint, how long the text, how much is recorded."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from attnflow import limits
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.checkpoints.loading import Loading
from attnflow.errors import LongTextError, TextError
from attnflow.records.trace import Encoding
from attnflow.runtime.capture import trace_bytes
from attnflow.runtime.encode import encode
from attnflow.runtime.instrument import instrument
from attnflow.runtime.load import load_checkpoint
from attnflow.service import zero_gpu

_asked: ContextVar[tuple[bool, bool, str]] = ContextVar("attnflow_reading", default=(False, False, ""))


@contextmanager
def reading(*, truncate: bool = False, chat: bool = False, way: str = "") -> Generator[None]:
    """Say how texts are read within this context.

    Args:
        truncate: A text that is too long is cut instead of refused.
        chat: The checkpoint's chat template is applied.
        way: How whoever asks has a text cut, as the refusal of one that is too long tells it; empty for the argument.
    """
    token = _asked.set((truncate, chat, way))
    try:
        yield
    finally:
        _asked.reset(token)


def load_bounded(ref: str | Path, revision: str | None, token: str | None, name: str | None = None) -> Checkpoint:
    """Load a checkpoint that is no larger than this machine allows.

    Args:
        ref: A bundled reference or a Hub id, or a folder that the operator offers; never a path that a visitor gave.
        revision: Branch, tag or commit on the Hub, or a moment of a training on this machine.
        token: Hub access token of the visitor.
        name: What visitors call a folder.

    Raises:
        CheckpointError: If it is larger, or cannot be found, reached, or read by this visitor.
        NoRoomError: If the device that checkpoints are held on has no memory left for it.
    """
    return load_checkpoint(
        ref,
        revision=revision,
        token=token,
        **_running(),
        name=name,
        max_parameters=limits.MAX_PARAMETERS,
        max_download_bytes=limits.MAX_DOWNLOAD_BYTES,
    )


def check_running() -> None:
    """Refuse to start where the operator asks for a device or a precision that there is not.

    Raises:
        CheckpointError: With what there is.
    """
    how = Loading(instrument, **_running())
    how.place()
    how.precision()


def _running() -> dict[str, Any]:
    """The device and the precision that the operator asks for; on ZeroGPU this process has no GPU of its own."""
    return {
        "device": os.environ.get("ATTNFLOW_DEVICE") or ("cpu" if zero_gpu.ready() else "auto"),
        "dtype": os.environ.get("ATTNFLOW_DTYPE") or None,
    }


def encode_bounded(checkpoint: Checkpoint, text_a: str, text_b: str | None) -> Encoding:
    """Tokenize a sentence pair that is no longer than this machine allows, in the way that is asked for (`reading`).

    Raises:
        TextError: If it is longer, or cannot be tokenized.
    """
    for name, text in (("first", text_a), ("second", text_b)):
        if isinstance(text, str) and len(text) > limits.MAX_CHARACTERS:  # before a tokenizer has to read it
            raise TextError(
                f"The {name} sentence has {len(text):,} characters; the limit is {limits.MAX_CHARACTERS:,}. Shorten it."
            )
    truncate, chat, way = _asked.get()
    try:
        return encode(checkpoint, text_a, text_b, chat=chat, truncate=truncate, max_tokens=limits.MAX_TOKENS)
    except LongTextError as error:
        raise LongTextError(error.told, way or error.way) from error


def check_trace(checkpoint: Checkpoint, size: int) -> None:
    """Refuse a run of so many tokens that would record more than this machine takes.

    Raises:
        TextError: That tells how many tokens fit.
    """
    taken = trace_bytes(checkpoint, size)
    if taken > limits.MAX_TRACE_BYTES:
        fits = next(
            (fewer for fewer in range(size - 1, 1, -1) if trace_bytes(checkpoint, fewer) <= limits.MAX_TRACE_BYTES), 0
        )
        remedy = f"shorten the text to {fits} tokens" if fits else "choose a smaller model"
        raise TextError(
            f"{checkpoint.name} has {checkpoint.n_layers} layers of {checkpoint.n_heads} heads, and their attention on "
            f"{size} tokens takes {taken / 1e6:,.0f} MB; this machine takes at most "
            f"{limits.MAX_TRACE_BYTES / 1e6:,.0f} MB for one run. Please {remedy}."
        )
