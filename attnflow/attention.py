"""One attention function for every architecture, which can be watched and gated while a model runs.

transformers lets a library register an attention function by name. Ours calls the architecture's own eager function,
so grouped key/value heads, soft caps, sinks and position biases are exactly those of transformers, and, when a
recording is active in the current context, keeps the probabilities and the heads' outputs and applies head gates.
No hook is set and no module is changed, and two threads that run one model at once do not see each other.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

NAME = "attnflow"
"""The `attn_implementation` under which the function is registered."""


@dataclass
class Recording:
    """What the attention layers of one forward pass computed, in the order in which they ran.

    The order, not the layer's own index, tells the layer: ALBERT runs one set of weights as all its layers.
    """

    gates: torch.Tensor | None = None
    """`[L, H]` or `[B, L, H]`, multiplied with the heads' outputs; None leaves them as they are."""
    attention: list[torch.Tensor] = field(default_factory=list)
    """For each layer `[B, H, T, T]`."""
    head_output: list[torch.Tensor] = field(default_factory=list)
    """For each layer `[B, T, H, K]`, after the gates."""


_recording: ContextVar[Recording | None] = ContextVar("attnflow_recording", default=None)


@contextmanager
def record(gates: torch.Tensor | None = None) -> Iterator[Recording]:
    """Record every attention layer that runs in this context; afterwards nothing is left behind."""
    recording = Recording(gates)
    token = _recording.set(recording)
    try:
        yield recording
    finally:
        _recording.reset(token)


@cache
def eager_function(module_class: type[torch.nn.Module]) -> Callable[..., Any] | None:
    """The eager attention function that an attention module would fall back to, or None if it has none."""
    forward = inspect.unwrap(module_class.forward)
    return getattr(forward, "__globals__", {}).get("eager_attention_forward")


def attention_forward(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The registered function: the architecture's own attention, recorded and gated if a recording is active.

    Args:
        module: The attention module that calls.
        query: `[B, H, T, K]`.
        key: `[B, H or fewer, T, K]`.
        value: Like `key`.
        attention_mask: Additive, broadcast to `[B, H, T, T]`.
        **options: Whatever the architecture passes on: scaling, soft cap, sinks, position bias.

    Returns:
        Heads' outputs `[B, T, H, K]` and probabilities `[B, H, T, T]`.
    """
    eager = eager_function(type(module))
    if eager is None:
        raise NotImplementedError(f"{type(module).__name__} has no eager attention function")
    output, probabilities = eager(module, query, key, value, attention_mask, **options)
    recording = _recording.get()
    if recording is None:
        return output, probabilities
    if recording.gates is not None:
        gates = recording.gates[..., len(recording.attention), :].to(output)
        output = output * (gates[:, None, :, None] if gates.dim() == 2 else gates[:, None])
    recording.attention.append(probabilities)
    recording.head_output.append(output)
    return output, probabilities


AttentionInterface.register(NAME, attention_forward)
AttentionMaskInterface.register(NAME, eager_mask)
