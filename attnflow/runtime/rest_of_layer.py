"""Runs what follows the attention of one layer, on heads' outputs of one's own.

After its attention a layer treats every token by itself, so that any token with any outputs of its heads may stand at
any place: many changes of one layer are many rows of one pass that begins at the layer and ends with it. What its
attention would compute is not computed.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import UnsupportedArchitectureError
from attnflow.records.trace import Encoding, Head
from attnflow.runtime import attention_hook, layers
from attnflow.runtime.capabilities import nearly_equal
from attnflow.runtime.capture import model_inputs
from attnflow.runtime.linear import linear_map
from attnflow.runtime.recorded import head_gates
from attnflow.runtime.value_norms import for_each_head, written_lengths

_ROWS_AT_ONCE = 1024
"""Tokens of one batch: enough for the matrix products, few enough for the processor's caches."""


@dataclass(frozen=True, eq=False)
class LayerRun:
    """What one layer did to a text: `T` tokens, on the model's device and in its precision."""

    index: int
    entering: torch.Tensor
    """`[T, D]`"""
    leaving: torch.Tensor
    """`[T, D]`: before whatever the model does after its last layer."""
    paid: torch.Tensor
    """`[H, T, T]`: the attention of each head, 0 where it is switched off."""
    value: torch.Tensor
    """`[H, T, K]`: one that several heads share stands at each of them."""
    head_output: torch.Tensor
    """`[T, H, K]`: what is paid times the values."""


def layer_runs(checkpoint: Checkpoint, encoding: Encoding, pruned: frozenset[Head] = frozenset()) -> list[LayerRun]:
    """Run a checkpoint once and see what each of its layers does.

    Args:
        checkpoint: A steerable checkpoint.
        encoding: A pair encoded for it.
        pruned: Heads that are switched off.

    Raises:
        UnsupportedArchitectureError: If what its heads give is not their attention times values that can be seen, or if
            something stands between its layers.
    """
    missing = written_lengths(checkpoint).missing
    if checkpoint.stacks is not None:
        missing = "a layer of its decoder has two attentions, and what follows the first is not what follows its heads"
    if missing:
        raise UnsupportedArchitectureError(
            f"What the heads of {checkpoint.name} write for each token cannot be told: {missing}. Choose another "
            "method, such as attention_rollout."
        )
    entering: list[torch.Tensor] = []
    leaving: list[torch.Tensor] = []
    gates = head_gates(checkpoint, pruned | checkpoint.pruned)
    with (
        torch.inference_mode(),
        attention_hook.record(gates, keep_values=True) as recording,
        layers.steer(
            enter=layers.kept_in(entering),
            leave=lambda _, hidden: leaving.append(hidden[0].clone()),
            last=checkpoint.n_layers - 1,
        ),
    ):
        checkpoint.model.base_model(**model_inputs(encoding, device=checkpoint.device))
    for index, (left, entered) in enumerate(zip(leaving, entering[1:], strict=False)):
        if not nearly_equal(left, entered[0]):
            raise UnsupportedArchitectureError(
                f"What leaves layer {index + 1} of {checkpoint.name} is changed once more before it enters the next "
                "one, so that what its tokens owe to each other is not in its layers alone. Choose another method, "
                "such as occlusion."
            )
    runs = []
    for index, (attention, value, output) in enumerate(
        zip(recording.attention, recording.values or (), recording.head_output, strict=True)
    ):
        assert value is not None, "values are seen in every layer or in none, and none was refused"
        paid = attention[0].to(output.dtype)
        if gates is not None:
            paid = paid * gates[index, :, None, None].to(paid)
        value = for_each_head(value, output.shape[2])[0]
        runs.append(LayerRun(index, entering[index][0], leaving[index], paid, value, output[0]))
    return runs


def leaving_layer(
    checkpoint: Checkpoint,
    encoding: Encoding,
    run: LayerRun,
    tokens: torch.Tensor,
    outputs: torch.Tensor,
    *,
    spare: bool,
) -> torch.Tensor:
    """What leaves a layer for tokens whose heads gave something else.

    Args:
        checkpoint: Whose layer it is.
        encoding: The text.
        run: What the layer does to it.
        tokens: `[N]`: the token that each row is, with the vector that enters the layer.
        outputs: `[N, H, K]`: what its heads give.
        spare: Whether linear maps before its attention are left out, whose results nobody asks for in most models.

    Returns:
        `[N, D]`
    """
    size = len(run.entering)
    found = []
    most = max(1, _ROWS_AT_ONCE // size) * size
    for start in range(0, len(tokens), most):
        rows = slice(start, start + most)
        found.append(_leaving(checkpoint, encoding, run, tokens[rows], outputs[rows], spare))
    return torch.cat(found)


def _leaving(
    checkpoint: Checkpoint,
    encoding: Encoding,
    run: LayerRun,
    tokens: torch.Tensor,
    outputs: torch.Tensor,
    spare: bool,
) -> torch.Tensor:
    size, count = len(run.entering), len(tokens)
    copies = -(-count // size)
    fill = copies * size - count  # the last text of the batch is filled up with what is not looked at
    tokens = torch.cat((tokens, tokens[:1].expand(fill))).view(copies, size)
    given = torch.cat((outputs, outputs[:1].expand(fill, -1, -1))).unflatten(0, (copies, size))
    seen: list[torch.Tensor] = []
    with (
        torch.inference_mode(),
        attention_hook.record(keep=False, given=(run.index, given)) as recording,
        layers.steer(
            start=run.index,
            hidden=run.entering[tokens],
            leave=lambda _, hidden: seen.append(hidden),
            last=run.index,
        ),
        _NoQueries(recording, run.index) if spare else nullcontext(),
    ):
        checkpoint.model.base_model(**model_inputs(encoding, copies, device=checkpoint.device))
    return seen[0].flatten(0, 1)[:count]


class _NoQueries(TorchFunctionMode):
    """Lets linear maps give zeros up to the attention of a layer: queries, keys and values that nobody asks for.

    Args:
        recording: Of the pass that runs; it tells the layer.
        layer: Whose attention is given.
    """

    def __init__(self, recording: attention_hook.Recording, layer: int) -> None:
        super().__init__()
        self._recording, self._layer = recording, layer

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        linear = linear_map(func, args, kwargs) if self._recording.layer == self._layer else None
        if linear is None:
            return func(*args, **kwargs)
        x, weight, _ = linear
        return x.new_zeros(*x.shape[:-1], len(weight))


def leaving_as_it_is(checkpoint: Checkpoint, encoding: Encoding, run: LayerRun) -> tuple[torch.Tensor, bool]:
    """What leaves a layer with the outputs that its heads gave, each token beside others than in the text.

    Args:
        checkpoint: Whose layer it is.
        encoding: The text.
        run: What the layer does to it.

    Returns:
        `[T, D]`, and whether `leaving_layer` may spare: not where what comes before the attention is what it is added
        to, as in the bottlenecks of MobileBERT.

    Raises:
        UnsupportedArchitectureError: If that is not what leaves the layer, which then mixes tokens after its attention.
    """
    twice = torch.arange(len(run.entering), device=run.entering.device).repeat_interleave(2)
    for spare in (True, False):
        found = leaving_layer(checkpoint, encoding, run, twice, run.head_output[twice], spare=spare)[::2]
        if nearly_equal(found, run.leaving):
            return found, spare
    raise UnsupportedArchitectureError(
        f"What layer {run.index + 1} of {checkpoint.name} does after its attention does not treat every token by "
        "itself, so its attention cannot be changed token by token. Choose another method, such as occlusion."
    )
