"""How long a vector every head would write for every token: the norm of its value times the output projection.

The norm of `v W` is that of `v S` for any `S` with `S S^T = W W^T`, which is as small as a head is wide; `S` is found
once for each checkpoint. Which linear map projects the heads' outputs is not looked up by name but seen in a pass over
a few tokens, and in the same pass it is tried whether attention times values is what the heads give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.runtime import attention_hook
from attnflow.runtime.capabilities import nearly_equal, probe
from attnflow.runtime.linear import linear_map

_TOKENS = 4


@dataclass(frozen=True)
class WrittenLengths:
    """What the norms of a checkpoint's projected values are computed from."""

    factors: tuple[torch.Tensor, ...] = ()
    """For each layer `[H, K, K]`: `S` of each head, in float32 on the model's device."""
    missing: str = ""
    """Why there are none, as a clause; empty where there are."""


@dataclass
class _Projections(TorchFunctionMode):
    """Watches a forward pass for linear maps that take something as large as what the heads gave last."""

    recording: attention_hook.Recording
    found: list[tuple[int, torch.Tensor, torch.Tensor]] = field(default_factory=list)
    """Which attention, what went in `[…, H * K]` and the weight `[D, H * K]`."""

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = self.recording.made
        linear = (linear_map(func, args, kwargs or {}) or product_map(func, args)) if made else None
        if made and linear is not None and linear[0].numel() == made[-1].output.numel():
            self.found.append((len(made) - 1, linear[0].clone(), linear[1]))
        return func(*args, **(kwargs or {}))


def product_map(func: Any, args: Any) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Input and weight `[D, H * K]` of a linear map that is a product, as in Falcon, or an `einsum`, as in XLNet."""
    if func in (torch.Tensor.matmul, torch.Tensor.__matmul__, torch.matmul) and args[1].dim() == 2:
        return args[0], args[1].t()
    if func is torch.einsum and len(args) == 3 and isinstance(args[2], torch.nn.Parameter):
        x, weight = args[0].partition("->")[0].split(",")
        return (args[1].flatten(-2), args[2].flatten(1)) if weight[1:] == x[-2:] else None
    return None


def written_lengths(checkpoint: Checkpoint) -> WrittenLengths:
    """What `value_norms` needs of a checkpoint, found once; or why it cannot be had."""
    return checkpoint.learnt.get("written lengths", lambda: _find(checkpoint))


def value_norms(lengths: WrittenLengths, values: Sequence[torch.Tensor | None]) -> list[torch.Tensor]:
    """Norms of all tokens' values after the output projection of each head.

    Args:
        lengths: Of the checkpoint; it must not be missing.
        values: For each layer `[B, H or fewer, T, K]`.

    Returns:
        For each layer `[B, H, T]`, in float32.
    """
    return [_norms(factor, value) for factor, value in zip(lengths.factors, values, strict=True) if value is not None]


def _norms(factor: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vector_norm(for_each_head(value.float(), len(factor)) @ factor, dim=-1)


def for_each_head(value: torch.Tensor, n_heads: int) -> torch.Tensor:
    """`[B, H, T, K]`: a value that several heads share stands at each of them."""
    return value if value.shape[1] == n_heads else value.repeat_interleave(n_heads // value.shape[1], dim=1)


def _find(checkpoint: Checkpoint) -> WrittenLengths:
    with (
        torch.inference_mode(),
        attention_hook.record(keep_made=True) as recording,
        _Projections(recording) as watched,
    ):
        checkpoint.model.base_model(**probe(checkpoint, _TOKENS))
    made = recording.made or []
    size = made[0].output.shape[-1] if made else 0
    factors = [torch.zeros(checkpoint.n_heads, size, size, device="cpu") for _ in range(checkpoint.n_layers)]
    with torch.inference_mode():
        for number, one in enumerate(made):
            if one.layer >= checkpoint.n_layers:
                return WrittenLengths(missing="it has more attentions than layers")
            if one.output.shape[-1] != size:
                return WrittenLengths(missing="its layers have heads of different widths")
            if one.value is None or not _gives(one.probabilities, one.value, one.output):
                return WrittenLengths(missing="what its heads give is not their attention times values it shows")
            flat = one.output.flatten(2)
            weight = next(
                (w for at, x, w in watched.found if at == number and torch.equal(x.reshape(flat.shape), flat)), None
            )
            if weight is None:
                return WrittenLengths(missing="no linear map takes the outputs of its heads as they are")
            n_heads = one.output.shape[2]
            factors[one.layer][one.head : one.head + n_heads] = _factor(weight, n_heads)
    return WrittenLengths(tuple(factor.to(checkpoint.device) for factor in factors))


def _gives(attention: torch.Tensor, value: torch.Tensor, output: torch.Tensor) -> bool:
    """Whether the heads' outputs `[B, T, H, K]` are their attention times their values."""
    if value.dim() != 4 or attention.shape[1] % value.shape[1]:
        return False
    products = attention.to(value.dtype) @ for_each_head(value, attention.shape[1])
    return nearly_equal(products.transpose(1, 2), output)


def _factor(weight: torch.Tensor, n_heads: int) -> torch.Tensor:
    """`[H, K, K]` of a projection `[D, H * K]`: by eigenvectors, as a head may write in fewer than `K` directions."""
    of_head = weight.detach().cpu().double().unflatten(1, (n_heads, -1)).transpose(0, 1)  # [H, D, K]
    values, vectors = torch.linalg.eigh(of_head.mT @ of_head)
    return (vectors * values.clamp(min=0).sqrt()[:, None]).float()
