"""Loads a checkpoint as everything else here needs it: instrumented, on a device, in a precision."""

from __future__ import annotations

import os

import torch

from attnflow.checkpoints.checkpoint import Checkpoint, open_checkpoint
from attnflow.checkpoints.loading import Loading
from attnflow.runtime.instrument import instrument
from attnflow.runtime.memory import within_memory


def load_checkpoint(
    ref: str | os.PathLike[str],
    *,
    revision: str | None = None,
    token: str | None = None,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype | None = None,
    max_parameters: int | None = None,
    max_download_bytes: int | None = None,
    name: str | None = None,
) -> Checkpoint:
    """Load a checkpoint, or return it from memory if it was loaded before.

    Code that comes with a checkpoint is never run: weights are read from safetensors, or from a `.bin` file by torch's
    weights-only loader, and `trust_remote_code` is off. The model is in evaluation mode.

    Args:
        ref: A Hub id (`google-bert/bert-base-uncased`, perhaps with `@revision` or a folder in the repository), an
            address that was copied from the Hub's pages, a bundled reference (`demo/pretrained`, `demo/finetuned`),
            or a local folder, given as a `Path` or as a text that begins with `/`, `./`, `../` or `~`.
        revision: Branch, tag or commit on the Hub; in a local folder that a Trainer wrote, and of what is bundled, a
            checkpoint along the way, such as `checkpoint-500`.
        token: Hub access token for gated and private repositories. The process's own token is never used.
        device: Where the weights are held and everything is computed, as torch names it; `auto` is CUDA where there
            is one, else the CPU. What is returned is on the CPU all the same.
        dtype: Precision of weights and computation, as torch names it; float32 if None.
        max_parameters: Refuse a model with more, before its weights are fetched or memory is taken; no bound if None.
        max_download_bytes: Refuse a download of more; no bound if None.
        name: What a local folder is called; its own name if None.

    Raises:
        CheckpointError: If it cannot be found, reached, or read safely, is larger than allowed, or if there is no such
            device or precision.
        UnsupportedArchitectureError: If it is found but cannot be analysed; before its weights are downloaded.
        NoRoomError: If the device has no memory left for it.

    Example:
        >>> load_checkpoint("demo/finetuned").head.labels
        ('unsupported', 'supported')
    """
    how = Loading(instrument, device, dtype, max_parameters, max_download_bytes)
    with within_memory(str(name or ref), "loading"):
        return open_checkpoint(ref, how, revision=revision, token=token, name=name)
