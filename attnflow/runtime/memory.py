"""What happens when a device has no memory left: one sentence for whoever asked, and room for all others."""

from __future__ import annotations

import traceback
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from attnflow.errors import NoRoomError

Work = Literal["text", "texts", "training", "loading"]
_ADVICE: dict[Work, tuple[str, str]] = {
    "text": (" on this text", "shorten the text, ask for less, or use a smaller checkpoint"),
    "texts": (" on these texts", "bound the tokens of a text, ask for less, or use a smaller checkpoint"),
    "training": (" after the epoch", 'lower per_device_eval_batch_size, or record with mode="step"'),
    "loading": ("", "use a smaller checkpoint, or one in half precision"),
}


@contextmanager
def within_memory(name: str, work: Work = "text") -> Generator[None]:
    """Tell in one sentence that what runs here does not fit into the memory of its device, and free what it took.

    Checkpoints that are kept in memory stay there: others use them.

    Args:
        name: Of the checkpoint that runs.
        work: What is done with it.

    Raises:
        NoRoomError: Instead of torch's own error, or of any that it caused.
    """
    try:
        yield
    except BaseException as error:
        if not any(isinstance(cause, torch.OutOfMemoryError) for cause in _causes(error)):
            raise
        for cause in _causes(error):
            traceback.clear_frames(cause.__traceback__)  # their variables hold what was computed so far
    else:
        return
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    on, advice = _ADVICE[work]
    raise NoRoomError(f"The GPU has no memory left for {name}{on}, beside the checkpoints that others use; {advice}.")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
