"""Finds the parameters of every head: its rows of Q, K, V and its columns of the output projection.

Architectures name and fuse these maps in many ways, so they are not looked up by name. One pass over a few tokens, in
which every linear map gives random numbers, shows which outputs of which map a head depends on, and which map takes
the heads' outputs as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from attnflow.checkpoints.architectures import heads_per_key
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import UnsupportedArchitectureError
from attnflow.runtime import attention_hook
from attnflow.runtime.capabilities import probe
from attnflow.runtime.linear import linear_map

_TOKENS = 4


@dataclass
class LinearCall:
    """One use of a linear map in a forward pass."""

    weight: torch.Tensor
    """`[out, in]`"""
    bias: torch.Tensor | None
    """`[out]`"""
    x: torch.Tensor
    """Input, `[..., in]`."""
    y: torch.Tensor
    """Output, `[..., out]`."""
    after: int
    """The number of the attention that ran last or, before the first, -1."""


@dataclass(frozen=True)
class HeadParameters:
    """Where the heads of one attention have their parameters."""

    layer: int
    head: int
    """Its first head among all of its layer."""
    rows: dict[int, torch.Tensor]
    """For each linear map (by the number of its use in the pass) that feeds the attention `[H, out]`: 1 where the row
    of the weight, and of the bias, belongs to the head. Rows of a key or value that several heads share are in each."""
    output: int
    """The use of the output projection, whose columns are those of the heads in order, equally many each."""


@dataclass
class LinearCalls(TorchFunctionMode):
    """Watches the linear maps of a forward pass, and may put random numbers, cut from what came before, in place."""

    recording: attention_hook.Recording
    random: torch.Generator | None = None
    wanted: frozenset[int] | None = None
    """Uses that are kept, by number; all if None."""
    calls: dict[int, LinearCall] = field(default_factory=dict)
    n_calls: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        y = func(*args, **(kwargs or {}))
        found = linear_map(func, args, kwargs or {})
        if found is None:
            return y
        number, self.n_calls = self.n_calls, self.n_calls + 1
        if self.wanted is not None and number not in self.wanted:
            return y
        if self.random is not None:
            y = torch.randn(y.shape, generator=self.random, device="cpu").to(y)
        leaf = not y.requires_grad
        if leaf:
            y.requires_grad_()
        x, weight, bias = found
        self.calls[number] = LinearCall(weight, bias, x.detach(), y, self.recording.n_made - 1)
        return y.clone() if leaf else y  # DeBERTa divides a part of it in place, which a leaf does not bear


def head_parameters(checkpoint: Checkpoint) -> tuple[HeadParameters, ...]:
    """The parameters of all heads, attention by attention.

    Raises:
        UnsupportedArchitectureError: If they cannot be told apart.
    """
    return checkpoint.learnt.get("head parameters", lambda: _find(checkpoint))


def _find(checkpoint: Checkpoint) -> tuple[HeadParameters, ...]:
    with (
        attention_hook.record(keep_made=True) as recording,
        LinearCalls(recording, torch.Generator().manual_seed(0)) as watched,
    ):
        checkpoint.model.base_model(**probe(checkpoint, _TOKENS))
    if len(recording.head_output) != checkpoint.n_layers:
        raise _refusal(checkpoint, "not all its layers use the attention interface")
    return tuple(
        _attention(checkpoint, one, [*watched.calls.items()], place) for place, one in enumerate(recording.made or ())
    )


def _attention(
    checkpoint: Checkpoint, made: attention_hook.Made, calls: list[tuple[int, LinearCall]], place: int
) -> HeadParameters:
    output, n_heads = made.output, made.output.shape[2]
    flat = output.reshape(-1, output.shape[2] * output.shape[3])
    after = [
        number
        for number, call in calls
        if call.after == place and call.x.numel() == flat.numel() and torch.equal(call.x.reshape(flat.shape), flat)
    ]
    before = [(number, call) for number, call in calls if call.after == place - 1]
    if len(after) != 1 or not before:
        raise _refusal(checkpoint, "no linear map takes the outputs of its heads as they are")
    rows = {number: call.weight.new_zeros(n_heads, len(call.weight)) for number, call in before}
    for head in range(n_heads):
        of_head = torch.autograd.grad(
            output[:, :, head].square().sum(), [call.y for _, call in before], retain_graph=True, allow_unused=True
        )
        for (number, _), gradient in zip(before, of_head, strict=True):
            if gradient is not None:
                rows[number][head] = (gradient.reshape(-1, gradient.shape[-1]) != 0).any(0)
    rows = {number: owned for number, owned in rows.items() if owned.any()}
    _check(checkpoint, rows)
    return HeadParameters(made.layer, made.head, rows, after[0])


def _check(checkpoint: Checkpoint, rows: dict[int, torch.Tensor]) -> None:
    """Each row belongs to one head, or to the group of heads that share a key and value."""
    group = heads_per_key(checkpoint.model.config.get_text_config(), checkpoint.n_heads)
    owners = {int(n) for owned in rows.values() for n in owned.sum(0).unique() if n}
    sizes = {int(n) for n in torch.stack([owned.sum(1) for owned in rows.values()]).sum(0)} if rows else set()
    if not owners or not owners <= {1, group} or 1 not in owners or len(sizes) != 1:
        raise _refusal(checkpoint, "its queries, keys or values mix the rows of several heads")


def _refusal(checkpoint: Checkpoint, reason: str) -> UnsupportedArchitectureError:
    return UnsupportedArchitectureError(
        f"The parameters of single heads cannot be told in {checkpoint.name}: {reason}. Use method='gate' or "
        "method='ablation'."
    )
