"""What the names of a checkpoint's files tell before one is read: whether it is whole, and nothing changes it."""

from __future__ import annotations

import re
from collections.abc import Collection

from attnflow.checkpoints.repository_files import CONFIG, WEIGHTS
from attnflow.errors import CheckpointError, UnsupportedArchitectureError

ADAPTER = "adapter_config.json"
_OTHER_WEIGHTS = re.compile(r".+\.(?:safetensors|bin|pt|pth|ckpt|h5|msgpack|gguf|ggml|onnx|ot|npz)")
_NO_WEIGHTS = re.compile(r"(?:adapter_model|training_args|optimizer|scheduler|rng_state|rust_model_state)\b.*")


def check_described(files: Collection[str], name: str) -> None:
    """Refuse what has no configuration, and what an adapter would change.

    Args:
        files: Their names.
        name: What the checkpoint is called.

    Raises:
        UnsupportedArchitectureError: With what there is.
    """
    if CONFIG not in files:
        lack = "no config.json, so it is no Transformer checkpoint; choose another one"
        if ADAPTER in files:
            lack = "an adapter (LoRA) without the model it adapts; choose one with merged weights"
        raise UnsupportedArchitectureError(f"{name} has {lack}.")
    if ADAPTER in files and any(file in files for file in WEIGHTS):
        raise UnsupportedArchitectureError(
            f"{name} cannot be analysed: an adapter ({ADAPTER}) lies beside its weights, which is not applied here, so "
            "another model would be computed. Choose a checkpoint with merged weights, or take it out if it is merged."
        )


def check_weights(files: Collection[str], name: str) -> None:
    """Refuse what has no weights that are read.

    Args:
        files: Their names.
        name: What the checkpoint is called.

    Raises:
        CheckpointError: With what there is in their place.
    """
    if any(file in files for file in WEIGHTS):
        return
    if ADAPTER in files:
        raise UnsupportedArchitectureError(
            f"{name} has an adapter (LoRA) without the model it adapts; choose one with merged weights."
        )
    others = sorted(file for file in files if _OTHER_WEIGHTS.fullmatch(file) and not _NO_WEIGHTS.fullmatch(file))
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        raise CheckpointError(
            f"{name} has no weights under a name that is read ({', '.join(WEIGHTS)}), only {', '.join(others[:3])}"
            f"{more}; choose a checkpoint that has."
        )
    raise CheckpointError(f"{name} has no weights as safetensors or PyTorch .bin; choose a checkpoint that has.")
