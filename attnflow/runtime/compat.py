"""What is used of torch and transformers beyond what they promise to keep: each thing once, with what breaks without.

The tests of this module say for each of them, on the versions at hand, that it is still what it is taken for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers.masking_utils import eager_mask
from transformers.models.bloom.modeling_bloom import BloomGelu, bloom_gelu_forward

__all__ = [
    "BloomGelu",
    "bloom_gelu_forward",
    "custom_functions",
    "eager_attention",
    "eager_mask",
    "hidden_state_class",
    "is_parameter",
    "version",
]

# `eager_mask` makes the additive mask of an eager attention. `AttentionMaskInterface` needs one for the name under
# which our attention is registered; without it every model would run without a mask, and decoders see the future.
#
# `BloomGelu` and `bloom_gelu_forward` are Bloom's activation, whose gradient is written out by hand, and the same as
# operations. If the class were another, forward-mode derivatives would fail and LRP refuse Bloom.


def is_parameter(x: Any) -> bool:
    """Whether a value is a parameter or a view of one, by the `_base` of views.

    Without it, biases that a model adds as a slice, as DeBERTa does, take relevance that LRP reports as missing.
    """
    return isinstance(x, Tensor) and (isinstance(x, nn.Parameter) or isinstance(x._base, nn.Parameter))


def version(x: Tensor) -> int:
    """How often a tensor, or one that shares its memory, was changed in place, by its `_version`.

    Without it, LRP could take a tensor that was changed afterwards for the activation that it once was.
    """
    return x._version


def custom_functions(value: Tensor) -> set[str]:
    """Names of the Python functions with a gradient of their own that a value was computed by.

    They are nodes of type `torch.autograd.function.BackwardCFunction`, named after the class. Without it, LRP would let
    through an operation whose gradient is whatever its author wrote.
    """
    found, seen, ahead = set(), set(), [value.grad_fn]
    while ahead:
        node = ahead.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            found.add(type(node).__name__.removesuffix("Backward"))
        ahead += [before for before, _ in node.next_functions]
    return found


def eager_attention(module_class: type[nn.Module]) -> Callable[..., Any] | None:
    """The function `eager_attention_forward` of the file that an attention module's class is written in, or None.

    It is found among the globals of the class's `forward`. Without it no architecture of the attention interface runs.
    """
    forward = inspect.unwrap(module_class.forward)
    return getattr(forward, "__globals__", {}).get("eager_attention_forward")


def hidden_state_class(module: nn.Module) -> type[nn.Module] | None:
    """The class of the layers whose outputs transformers records as hidden states, by `_can_record_outputs`, or None.

    Without it the layers are the first list with as many entries as the model has layers: that is wrong only where
    another list is as long and comes first.
    """
    recorded = (getattr(module, "_can_record_outputs", None) or {}).get("hidden_states")
    found = getattr(recorded, "target_class", recorded)
    return found if isinstance(found, type) else None
