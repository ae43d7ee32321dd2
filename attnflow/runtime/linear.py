"""The linear maps of forward passes: which operation is one, and computing them only where they are needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode

from attnflow.runtime.attention_hook import Recording


def linear_map(func: Any, args: Any, kwargs: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None] | None:
    """Input, weight `[out, in]` and bias, if an operation is a linear map; GPT-2's is written as `addmm`."""
    if func is torch.nn.functional.linear:
        x, weight, *rest = args
        return x, weight, rest[0] if rest else kwargs.get("bias")
    if func is torch.addmm and len(args) == 3 and isinstance(args[2], torch.nn.Parameter):
        return args[1], args[2].t(), args[0]
    return None


class SparingLinear:
    """While it is on, linear maps of this thread are computed only where they are needed.

    Before the attention of a layer every vector depends on its own token alone, so that of equal tokens one is
    computed. After the last attention nothing mixes positions any more, so that only the one that is read is
    computed: its result stands at all others too.

    Args:
        recording: Of the pass that runs; it tells the layer.
        n_layers: Layers of the model.
        length: Tokens of the text.
        position: The token that is read; None if all of them are.
    """

    def __init__(self, recording: Recording, n_layers: int, length: int, position: int | None) -> None:
        self._recording, self._n_layers = recording, n_layers
        self._length, self._position = length, position
        self._layer: int | None = None
        self._shape: tuple[int, ...] = ()
        self._first = self._which = np.empty(0, np.intp)
        self._mode: _Linear | None = None

    def repeat(self, layer: int, keys: NDArray[np.integer]) -> None:
        """Tell that tokens with the same key, `[B, T]`, are equal as they enter a layer."""
        _, first, which = np.unique(keys, return_index=True, return_inverse=True)
        self._layer, self._shape = (layer if len(first) < keys.size else None), keys.shape
        self._first, self._which = first, which.reshape(-1)
        self._turn()

    def __enter__(self) -> Self:
        self._recording.on_layer = self._turn
        self._turn()
        return self

    def __exit__(self, *error: object) -> None:
        self._recording.on_layer = None
        self._turn(off=True)

    def _turn(self, *, off: bool = False) -> None:
        """Look at operations in those layers alone where any can be spared: each of the others would take longer."""
        on = not off and (self._reads_one or self._recording.layer == self._layer)
        if on and self._mode is None:
            self._mode = _Linear(self._map)
            self._mode.__enter__()
        elif not on and self._mode is not None:
            self._mode.__exit__(None, None, None)
            self._mode = None

    @property
    def _reads_one(self) -> bool:
        return self._position is not None and self._recording.layer == self._n_layers

    def _map(self, x: torch.Tensor, *rest: Any, **kwargs: Any) -> torch.Tensor:
        if x.dim() == 3 and x.shape[1] == self._length:
            if self._reads_one:
                return linear(x[:, self._position], *rest, **kwargs)[:, None].expand(-1, self._length, -1)
            if self._recording.layer == self._layer and x.shape[:2] == self._shape:
                first, which = (torch.from_numpy(rows).to(x.device) for rows in (self._first, self._which))
                return linear(x.flatten(0, 1)[first], *rest, **kwargs)[which].unflatten(0, self._shape)
        return linear(x, *rest, **kwargs)


class _Linear(TorchFunctionMode):
    """Has linear maps computed by another function."""

    def __init__(self, instead: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self._instead = instead

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return (self._instead if func is torch.nn.functional.linear else func)(*args, **kwargs or {})
