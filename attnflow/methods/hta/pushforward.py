"""Pushes changes of what enters a layer forwards to the heads' outputs, by forward-mode derivatives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.func import jvp, vmap

from attnflow.runtime import attention_hook, layers

_MOST_ROWS = 2048
"""Rows, changes times tokens, of one batch: enough for the matrix products, few enough for the processor's caches."""
_NARROW = 384
"""Width below which a batch has as many more rows: there the time goes into its operations, not into their products."""
_MOST_BYTES = 256 * 2**20
"""Memory of the head outputs of one batch; the rest of a batch takes a few times a layer's share of it."""
_FORWARD_MODE = threading.Lock()


@dataclass(frozen=True, eq=False)
class Stretch:
    """Layers of a model from one to another, as a function of what enters the first of them."""

    model: nn.Module
    inputs: dict[str, torch.Tensor]
    """What the model is called with, `[1, T]` each."""
    gates: torch.Tensor | None
    """`[L, H]` of the whole model."""
    start: int
    last: int
    hidden: torch.Tensor
    """`[1, T, D]`: what enters layer `start`; where the derivatives are taken."""
    bfloat16: bool = False
    """Whether matrix products are done in bfloat16."""

    @property
    def n_layers(self) -> int:
        """Layers from `start` to `last`, both counted."""
        return self.last - self.start + 1

    def run(self, hidden: torch.Tensor, *, keep_calls: bool = False) -> attention_hook.Recording:
        """Run from layer `start` on up to the attention of layer `last`."""
        with (
            torch.autocast(hidden.device.type, torch.bfloat16, enabled=self.bfloat16),
            attention_hook.record(self.gates, last=self.last, keep_calls=keep_calls) as recording,
            layers.steer(start=self.start, hidden=hidden),
        ):
            self.model(**self.inputs)
        return recording

    def head_outputs(self, hidden: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """`[T, H, K]` for each layer."""
        return tuple(output[0] for output in self.run(hidden).head_output[-self.n_layers :])


def squared_changes(
    stretch: Stretch, directions: torch.Tensor, tell: Callable[[float], None]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Change one token at a time, and measure how far every head's output moves.

    Args:
        stretch: The layers.
        directions: `[S, T, D]`: for each token, the directions to change it in, one after the other.
        tell: Called with the share that is done.

    Returns:
        Sum over the directions of the squared length of the change, and the sum of its square, each
        `[l, H, T, T]` as `[layer, head, query, source]`, in float64.
    """
    n_directions, size, _ = directions.shape
    moments: list[torch.Tensor] = []
    total = n_directions * size
    for start, stop in _batches(total, size, stretch):
        which = torch.arange(start, stop, device=directions.device)
        source = which % size
        tangents = stretch.hidden.new_zeros(len(which), *stretch.hidden.shape)
        tangents[which - start, 0, source] = directions[which // size, source].to(tangents)
        changes = push(stretch.head_outputs, (stretch.hidden,), (tangents,))
        squares = torch.stack([change.double().square().sum(-1) for change in changes], dim=1)  # [n, l, T, H]
        if not moments:
            moments = [squares.new_zeros(size, *squares.shape[1:]) for _ in range(2)]
        moments[0].index_add_(0, source, squares)
        moments[1].index_add_(0, source, squares.square())
        tell(stop / total)
    first, second = (moment.permute(1, 3, 2, 0) for moment in moments)
    return first, second


def _batches(total: int, size: int, stretch: Stretch) -> Iterator[tuple[int, int]]:
    bytes_of_row = stretch.hidden.element_size() * stretch.hidden.shape[-1] * stretch.n_layers
    most = _MOST_ROWS * max(1, _NARROW // stretch.hidden.shape[-1])
    step = max(1, min(most, _MOST_BYTES // bytes_of_row) // size)
    for start in range(0, total, step):
        yield start, min(start + step, total)


def push(
    function: Callable[..., tuple[torch.Tensor, ...]],
    point: tuple[torch.Tensor, ...],
    tangents: tuple[torch.Tensor, ...],
) -> tuple[torch.Tensor, ...]:
    """Directional derivatives of a function at a point, in a batch of directions.

    Args:
        function: Takes as many tensors as `point` has, and returns a tuple of tensors.
        point: Where to differentiate.
        tangents: For each tensor of the point the directions, with one more axis in front.

    Returns:
        For each result of the function its changes, with the same axis in front.
    """
    # torch has one level of forward mode for the whole process: a second thread cannot enter another, and who leaves
    # takes the tangents of all (a test shows it). So only one batch at a time is pushed, by whichever thread.
    with _FORWARD_MODE, torch.no_grad():
        return vmap(lambda *one: jvp(function, point, one)[1])(*tangents)
