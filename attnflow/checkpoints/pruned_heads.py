"""Heads that a checkpoint was saved without, as transformers 4 prunes them: their rows and columns are not in the file.

transformers 5 makes every layer with all its heads. Zeros are put where the missing numbers would be: queries, keys and
values of zero, and an output that nothing reads, so every other head computes what it did, and a head that is gone
puts out zero, as if its gate were shut.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from transformers import PreTrainedModel

from attnflow.checkpoints.plain_json import shown
from attnflow.errors import CheckpointError
from attnflow.records.trace import Head


def removed_heads(config: Any, name: str) -> frozenset[Head]:
    """The heads that `pruned_heads` of a configuration names, `{layer: [heads]}`.

    Raises:
        CheckpointError: If it names a head that the model does not have, or if layers share their weights.
    """
    told = getattr(config, "pruned_heads", None) or {}
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    try:
        found = frozenset((int(layer), head) for layer, numbers in told.items() for head in numbers)
    except (AttributeError, TypeError, ValueError):
        found = frozenset({(-1, -1)})
    if not all(0 <= layer < layers and type(head) is int and 0 <= head < heads for layer, head in found):
        raise CheckpointError(
            f"The config.json of {name} gives pruned_heads as {shown(told)}; expected are lists of heads from 0 to "
            f"{heads - 1} by the numbers of layers from 0 to {layers - 1}. Choose another checkpoint."
        )
    if found and config.model_type == "albert":
        raise CheckpointError(
            f"{name} was saved without some heads (pruned_heads) of layers that share their weights, which cannot be "
            "told apart; choose another checkpoint."
        )
    return found


def refilled(
    tensors: Mapping[str, torch.Tensor], removed: frozenset[Head], model: PreTrainedModel, name: str
) -> dict[str, torch.Tensor]:
    """Put zeros where the numbers of removed heads would be.

    Args:
        tensors: Of the file, by the model's names.
        removed: The heads that are not in them.
        model: With all its heads; only its shapes matter.
        name: What the checkpoint is called, for errors.

    Raises:
        CheckpointError: If the file holds weights of a layer's heads that are said to be gone.
    """
    config, base = model.config.get_text_config(), model.base_model_prefix + "."
    width = getattr(config, "head_dim", None) or getattr(config, "d_kv", None)
    width = width or config.hidden_size // config.num_attention_heads
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    shapes |= {key.removeprefix(base): shape for key, shape in shapes.items()}
    filled, done = dict(tensors), set()
    for key, tensor in tensors.items():
        number = re.search(r"\.(\d+)\.", f".{key}.")
        layer = int(number.group(1)) if number else -1
        gone = sorted(head for where, head in removed if where == layer)
        shape = shapes.get(key) or shapes.get(key.removeprefix(base))
        axis = _shorter(tuple(tensor.shape), shape, config.num_attention_heads, len(gone)) if gone and shape else None
        if axis is not None:
            parts = shape[axis] // (config.num_attention_heads * width)
            filled[key] = _with_zeros(tensor, axis, gone, (parts, config.num_attention_heads, width))
            done.add(layer)
    missing = {layer for layer, _ in removed} - done
    if missing:
        raise CheckpointError(
            f"The config.json of {name} says that heads of layer {min(missing)} are gone (pruned_heads), and its "
            "weights hold all of them; which is true cannot be told. Choose another checkpoint."
        )
    return filled


def _shorter(found: tuple[int, ...], expected: tuple[int, ...], heads: int, gone: int) -> int | None:
    """The one axis along which a tensor has fewer heads than expected; None if it is another difference, or none."""
    if len(found) != len(expected):
        return None
    axes = [axis for axis, (size, full) in enumerate(zip(found, expected, strict=True)) if size != full]
    fits = len(axes) == 1 and found[axes[0]] * heads == expected[axes[0]] * (heads - gone)
    return axes[0] if fits else None


def _with_zeros(tensor: torch.Tensor, axis: int, gone: list[int], sizes: tuple[int, int, int]) -> torch.Tensor:
    """A tensor with zeros for the removed heads along an axis of `(parts, heads, width)`; Q, K and V may be parts."""
    parts, heads, width = sizes
    left = torch.tensor([head for head in range(heads) if head not in gone], dtype=torch.long)
    before, after = tensor.shape[:axis], tensor.shape[axis + 1 :]
    full = tensor.new_zeros([*before, *sizes, *after])
    full.index_copy_(axis + 1, left, tensor.reshape([*before, parts, len(left), width, *after]))
    return full.reshape([*before, parts * heads * width, *after])
