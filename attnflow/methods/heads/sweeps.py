"""Runs a checkpoint on one example with many sets of head gates, in few batched passes that share what they can."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow import progress
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.methods.objective import Label, Loss, choose_loss, has_task, reads_one_position
from attnflow.records.trace import Encoding, Head, check_heads
from attnflow.runtime import attention_hook, layers
from attnflow.runtime.capabilities import batches_allowed, rows_may_join, run_model
from attnflow.runtime.capture import head_gates, model_inputs
from attnflow.runtime.linear import SparingLinear
from attnflow.runtime.root import root_of

MOST_TOKENS = 1536
"""In one pass: the rows that end it times the length of the text."""

SPARING_WIDTH = 256
"""Width of a model from which on it takes longer to compute a linear map than to ask whether it is needed."""


def gates_without(checkpoint: Checkpoint, heads: Iterable[Head]) -> torch.Tensor:
    """`[L, H]`, on the CPU: 0 for the heads that are switched off, 1 for all others.

    Raises:
        SelectionError: If a head does not exist.
    """
    gates = head_gates(checkpoint, check_heads(heads, checkpoint.n_layers, checkpoint.n_heads))
    return torch.ones(checkpoint.n_layers, checkpoint.n_heads, device="cpu") if gates is None else gates.cpu()


def single_removals(gates: torch.Tensor) -> torch.Tensor:
    """`[L * H, L, H]`: the gates, each time with one more head switched off, layer by layer."""
    rows = gates.repeat(gates.numel(), 1, 1)
    rows.view(len(rows), -1).fill_diagonal_(0)
    return rows


@dataclass(frozen=True, eq=False)
class HeadValues:
    """A value of each head so far, offered while the rest is computed (`progress.offer`)."""

    values: NDArray[np.float64]
    """`[L, H]`; NaN where it is not known yet."""


class Sweep:
    """One example, run as it is and with any number of changes to the heads.

    The example as it is runs as the first row of the first pass and leaves there what enters each layer. Every other
    row joins a pass at the first layer whose gates differ. No pass changes the model.

    What cannot be spared are the linear maps of the layers that change: those after the attention of the head's own
    layer, and all of the later ones but what follows the last attention, of which one token is needed. For the single
    removals of BERT-base that is 1 / 2.1 of what a loop of forward passes multiplies, at any length. All else that a
    sweep gains over a loop is that a product of many rows runs at a higher rate than one of a single text: about
    twice as high at 32 tokens and 1.4 times at 64, so that a longer text gains less. (`tests/bench/heads.py` tells how
    much of the time these maps alone take.)

    Args:
        checkpoint: The model.
        encoding: The example.
        label: What should be predicted; what the untouched model predicts if None.
        pruned: Heads that are switched off from the beginning.
        loss: The loss, where it was chosen already.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        encoding: Encoding,
        label: Label = None,
        pruned: Iterable[Head] = (),
        loss: Loss | None = None,
    ) -> None:
        self.checkpoint, self.encoding = checkpoint, encoding
        self.task = has_task(checkpoint, encoding)
        self.gates = gates_without(checkpoint, pruned)
        self._hidden: list[torch.Tensor] = []
        """What enters each layer in the row without further changes, `[1, T, D]` each."""
        self._grows = rows_may_join(checkpoint, task=self.task)
        """Whether rows may join the batch at any layer."""
        self._batches = self._grows or batches_allowed(checkpoint)
        """Whether several rows may run at once."""
        root = root_of(checkpoint, encoding)
        self._read = root if isinstance(root, int) and reads_one_position(checkpoint, encoding) else None
        if loss is None and bool((self.gates == 0).any()):
            loss = Sweep(checkpoint, encoding, label).loss
        self._label, self._loss = label, loss
        self._base: torch.Tensor | None = None

    @property
    def base(self) -> torch.Tensor:
        """What `run_model` gives for the example as it is, one row."""
        if self._base is None:
            for _ in self.outputs(self.gates[None][:0]):
                pass
        assert self._base is not None, "outputs runs the plain row first"
        return self._base

    @property
    def loss(self) -> Loss:
        """The loss of the example."""
        if self._loss is None:
            self._loss = choose_loss(self.checkpoint, self.encoding, self._label, self.base[0])
        return self._loss

    @property
    def base_loss(self) -> float:
        """The loss of the example as it is."""
        return float(self.loss.of(self.base)[0])

    def losses(
        self, gates: torch.Tensor, so_far: Callable[[NDArray[np.float64]], object] = lambda losses: None
    ) -> NDArray[np.float64]:
        """`[N]`: the loss with each set of gates, `[N, L, H]`.

        Args:
            gates: The sets.
            so_far: Called between two passes with the losses, NaN for those that are not known yet.
        """
        result, done = np.full(len(gates), np.nan), 0
        for rows, output in self.outputs(gates):
            result[rows] = self.loss.of(output).double().cpu().numpy()
            done += len(rows)
            progress.tell(f"{done:,} of {len(gates):,} removals", done / len(gates))
            if done < len(gates):
                so_far(result.copy())
        return result

    def ablations(self) -> NDArray[np.float64]:
        """`[L, H]`: the change of the loss when one more head is removed; 0 for heads that are removed already."""

        def changes(losses: NDArray[np.float64]) -> NDArray[np.float64]:
            return (losses - self.base_loss).reshape(self.gates.shape) * self.gates.numpy()

        return changes(
            self.losses(single_removals(self.gates), lambda losses: progress.offer(HeadValues(changes(losses))))
        )

    def outputs(self, gates: torch.Tensor) -> Iterator[tuple[NDArray[np.intp], torch.Tensor]]:
        """For each pass its rows of the sets of gates, `[N, L, H]`, and what `run_model` gives for them."""
        changed = (gates != self.gates).any(-1).numpy()
        last = self.checkpoint.n_layers - 1
        first = np.where(changed.any(-1), changed.argmax(-1), last) if len(gates) else np.empty(0, np.intp)
        order = np.argsort(first, kind="stable")
        most = max(1, MOST_TOKENS // len(self.encoding.tokens)) if self._batches else 1
        if self._base is None:
            with_base = order[: most - 1]
            output = self._pass(gates[with_base], first[with_base], with_base_row=True)
            self._base, order = output[:1], order[most - 1 :]
            if len(with_base):
                yield with_base, output[1:]
        for start in range(0, len(order), most):
            rows = order[start : start + most]
            yield rows, self._pass(gates[rows], first[rows], with_base_row=False)

    def _pass(self, gates: torch.Tensor, first: NDArray[np.intp], *, with_base_row: bool) -> torch.Tensor:
        """One forward pass; `first` tells the layer at which each row joins, in rising order."""
        if with_base_row:
            gates = torch.cat((self.gates[None], gates))
            first = np.concatenate(([0], first))
        gates = gates.to(self.checkpoint.device)
        start = int(first[0]) if self.checkpoint.steerable else 0
        grows = self._grows
        recording: attention_hook.Recording
        sparing: SparingLinear
        length, spares = len(self.encoding.tokens), self.checkpoint.width >= SPARING_WIDTH

        def join(layer: int, hidden: torch.Tensor) -> torch.Tensor:
            if layer == start:
                hidden = hidden if with_base_row else self._hidden[start]
            if with_base_row:
                self._hidden.append(hidden[:1].clone())
            if grows:
                now = int(np.searchsorted(first, layer, side="right"))
                before = len(hidden) if layer > start else 0
                base = hidden[:1] if with_base_row else self._hidden[layer]
                hidden = torch.cat((hidden[:before], base.expand(now - before, -1, -1)))
                recording.gates = gates[:now]
                if spares:
                    rows = np.minimum(np.arange(now), before)  # those that join are all equal
                    sparing.repeat(layer, rows[:, None] * length + np.arange(length))
            elif layer == start:
                hidden = hidden[:1].expand(len(gates), -1, -1).contiguous()
            return hidden

        inputs = model_inputs(self.encoding, 1 if grows else len(gates), device=self.checkpoint.device)
        steered = layers.steer(start=start, enter=join if self.checkpoint.steerable else None)
        with (
            torch.inference_mode(),
            attention_hook.record(gates[:1] if grows else gates, keep=False) as recording,
            steered,
        ):
            sparing = SparingLinear(recording, self.checkpoint.n_layers, length, self._read)
            with sparing if spares else nullcontext():
                return run_model(self.checkpoint, inputs, task=self.task)
