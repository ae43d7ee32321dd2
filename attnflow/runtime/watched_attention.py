"""Records and gates the attention of architectures that do not use transformers' attention interface.

Once, when a model is loaded, its attention modules are given a subclass. While a recording is active in the current
context, the subclass watches the operations of the module's own forward: the result of its softmax are the
probabilities, and what its output projection is applied to are the heads' outputs, which it gates. The arithmetic stays
that of transformers, and a thread without a recording runs the module as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from attnflow import progress
from attnflow.runtime import attention_hook
from attnflow.runtime.compat import BloomGelu, bloom_gelu_forward
from attnflow.runtime.specialise import specialise


def install(model: nn.Module, projections: Mapping[str, str]) -> None:
    """Let the attention modules of a freshly loaded model be watched.

    Args:
        model: The model.
        projections: For each class of attention module that is to be watched, the parameter that maps the heads'
            outputs to the model's width (`Architecture.watched`).
    """
    for module in model.modules():
        if type(module).__name__ in projections:
            name = projections[type(module).__name__]
            module.heads_projection = name  # pyright: ignore[reportArgumentType]  # torch keeps any attribute
            specialise(module, _Watched)
        elif isinstance(module, BloomGelu):
            module.__class__ = _PlainGelu


class _PlainGelu(BloomGelu):
    """Bloom's activation as operations that can be differentiated in any way; its own function only backwards."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return bloom_gelu_forward(x)


class _Watched(nn.Module):
    """An attention module that consults the recording of the current context."""

    heads_projection: str
    """Name of the parameter that maps the heads' outputs to the model's width."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        progress.go_on()
        recording = attention_hook.active()
        if recording is None:
            return super().forward(*args, **kwargs)
        projection = self.get_parameter(self.heads_projection)
        with _Watch(recording, projection):
            return super().forward(*args, **kwargs)


_SOFTMAX = (torch.softmax, torch.nn.functional.softmax, torch.Tensor.softmax)
_PRODUCTS = (torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.bmm, torch.Tensor.bmm, torch.einsum)
"""What may multiply the probabilities with the values."""


class _Watch(TorchFunctionMode):
    """Sees each operation of one call of an attention module, in this thread only."""

    def __init__(self, recording: attention_hook.Recording, projection: torch.Tensor) -> None:
        super().__init__()
        self.recording = recording
        self.projection: list[torch.Tensor] = [projection]
        """The parameter, and what is only another view of it (its transpose)."""
        self.probabilities: torch.Tensor | None = None
        self.paid: list[torch.Tensor] = []
        """The probabilities, and what is only another view or type of them."""
        self.value: torch.Tensor | None = None
        """What they are multiplied with, as it comes."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _SOFTMAX:
            self.probabilities = found = func(*args, **kwargs)
            if self.recording.differentiable and not found.requires_grad:
                found.requires_grad_()
            self.paid = [found]
            return found
        if self.recording.values is not None and self.value is None and self.paid:
            return self._until_value(func, args, kwargs)
        tensors = [value for value in args if isinstance(value, torch.Tensor)]
        if not any(self._is_projection(tensor) for tensor in tensors):
            return func(*args, **kwargs)
        if len(tensors) == 1:
            result = func(*args, **kwargs)
            if isinstance(result, torch.Tensor):
                self.projection.append(result)
            return result
        others = [tensor for tensor in tensors if not self._is_projection(tensor)]
        heads = max(others, key=torch.Tensor.dim)  # the other one, if any, is a bias
        gated = self._add(heads)
        return func(*(gated if value is heads else value for value in args), **kwargs)

    def _until_value(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Follow the probabilities to the product with the values, and keep these."""
        result = func(*args, **kwargs)
        tensors = [value for value in args if isinstance(value, torch.Tensor)]
        if not any(tensor is known for known in self.paid for tensor in tensors[:1]):
            return result
        if func in _PRODUCTS:
            self.value = tensors[1]
        elif isinstance(result, torch.Tensor) and result.numel() == tensors[0].numel():
            self.paid.append(result)
        return result

    def _values(self, batch: int, heads_first: bool) -> torch.Tensor | None:
        """`[B, H or fewer, T, K]`, if seen; some come as `[B * H, T, K]`, those of XLNet as `[T, B, H, K]`."""
        if self.value is None or not heads_first:
            return None if self.value is None else self.value.permute(1, 2, 0, 3)
        return self.value.reshape(batch, -1, *self.value.shape[-2:])

    def _is_projection(self, tensor: torch.Tensor) -> bool:
        return any(tensor is known for known in self.projection)

    def _add(self, heads: torch.Tensor) -> torch.Tensor:
        """Record the heads' outputs: `[B, T, H * K]`, `[B * T, H * K]` or, in XLNet, `[T, B, H, K]`."""
        if self.probabilities is None:
            raise NotImplementedError("the output projection ran before the softmax")
        if heads.dim() == 4:
            values = self._values(self.probabilities.shape[0], heads_first=False)
            return self.recording.add(self.probabilities, heads.transpose(0, 1), values).transpose(0, 1)
        batch, n_heads, size, _ = self.probabilities.shape
        by_head = heads.reshape(batch, size, n_heads, -1)
        values = self._values(batch, heads_first=True)
        return self.recording.add(self.probabilities, by_head, values).reshape(heads.shape)
