"""How a checkpoint is to be loaded: on which device, in which precision, up to which size, and made ready by whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from transformers.modeling_utils import PreTrainedModel

from attnflow.errors import CheckpointError
from attnflow.records.stacks import Stacks

PRECISIONS = ("float32", "float64", "bfloat16", "float16")


@dataclass(frozen=True)
class Loading:
    """What may differ from one loading of the same files to the next."""

    prepare: Callable[[PreTrainedModel, int | Stacks], bool]
    """Called with the fresh model and its number of layers, or how its two stacks are one model, to make it ready for
    whoever runs it; returns whether a forward pass can begin at a later layer. A function of a module, so that another
    process can call it, too."""
    device: str | torch.device = "auto"
    """As torch names it; `auto` is CUDA where there is one, else the CPU."""
    dtype: str | torch.dtype | None = None
    """One of `PRECISIONS`, as text or as torch's own; float32 if None."""
    max_parameters: int | None = None
    """Most parameters of a model; None if there is no bound."""
    max_download_bytes: int | None = None
    """Most bytes of a download; None if there is no bound."""

    def place(self) -> torch.device:
        """The device.

        Raises:
            CheckpointError: If there is none of this name.
        """
        if self.device == "auto":
            return torch.device("cuda" if _has_cuda() else "cpu")
        try:
            device = torch.device(self.device)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError, TypeError) as error:
            raise CheckpointError(
                f"device is {str(self.device)[:60]!r}, and this machine has no such device; give 'auto', 'cpu' or, "
                "where there is one, 'cuda'."
            ) from error
        return device

    def precision(self) -> torch.dtype:
        """The precision of weights and computation.

        Raises:
            CheckpointError: If it is none of `PRECISIONS`.
        """
        name = "float32" if self.dtype is None else str(self.dtype).removeprefix("torch.")
        if name not in PRECISIONS:
            raise CheckpointError(f"dtype is {name[:60]!r}; give one of {', '.join(PRECISIONS)}, or none for float32.")
        return getattr(torch, name)


def _has_cuda() -> bool:
    """Whether this process has a GPU; not where the package `spaces` stands in for one that only its own have."""
    return torch.cuda.is_available.__module__ == torch.cuda.__name__ and torch.cuda.is_available()
