"""Runs a checkpoint on a sentence pair and records what happens inside: encoding to trace."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow.checkpoints.architectures import architecture
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import CheckpointError, UnsupportedArchitectureError, brief
from attnflow.records.trace import Encoding, Head, Trace, check_heads
from attnflow.runtime import attention_hook


def capture(checkpoint: Checkpoint, encoding: Encoding, *, pruned: Iterable[Head] = ()) -> Trace:
    """Run a checkpoint on an encoding and record what happens inside.

    Two threads may capture with one checkpoint at once, each with its own pruned heads; nothing is left changed.

    Args:
        checkpoint: The model to run.
        encoding: A pair encoded for this checkpoint.
        pruned: Heads `(layer, head)` whose output is multiplied by 0 before the output projection, which equals
            zeroing their columns of that projection.

    Returns:
        A trace whose arrays equal those of transformers' own eager attention.

    Raises:
        SelectionError: If a pruned head does not exist.
        UnsupportedArchitectureError: If the model does not run all its layers through the attention interface.
        CheckpointError: If the model cannot be run, or computes numbers that are not finite.
    """
    heads = check_heads(pruned, checkpoint.n_layers, checkpoint.n_heads)
    gates = head_gates(checkpoint, heads)
    trained = checkpoint.head.classifies_texts
    # The head of a language model would cost much and tell nothing of what is recorded.
    model = checkpoint.model if trained else checkpoint.model.base_model
    try:
        with torch.inference_mode(), attention_hook.record(gates) as recording:
            output = model(**model_inputs(encoding), output_hidden_states=True)
    except Exception as error:  # an architecture that no test has run, or weights that do not fit together
        raise CheckpointError(f"{checkpoint.name} cannot be run on this text ({brief(error)}).") from error
    _check_recording(checkpoint, recording)
    if not torch.isfinite(output.hidden_states[-1]).all():
        raise CheckpointError(
            f"{checkpoint.name} computes numbers that are not finite, so its weights are damaged; choose another one."
        )
    return Trace(
        tokens=encoding.tokens,
        attention=shared_array(torch.cat(recording.attention)),
        hidden=shared_array(torch.cat(output.hidden_states)),
        head_output=shared_array(torch.cat(recording.head_output)),
        root=root_position(checkpoint, encoding),
        scores=shared_array(output.logits[0]) if trained else None,
        probabilities=_probabilities(output.logits[0], checkpoint.head.problem) if trained else None,
        labels=checkpoint.head.labels if trained else (),
        pruned=heads,
    )


def head_gates(checkpoint: Checkpoint, pruned: frozenset[Head]) -> torch.Tensor | None:
    """`[L, H]`: 0 for pruned heads and 1 for all others; None if none is pruned."""
    if not pruned:
        return None
    gates = torch.ones(checkpoint.n_layers, checkpoint.n_heads)
    gates[tuple(zip(*pruned, strict=True))] = 0
    return gates


def root_position(checkpoint: Checkpoint, encoding: Encoding) -> int:
    """The token whose last embedding a task reads that scores the whole text.

    A causal classifier finds the end of the text by its padding, also where someone wrote a padding token.
    """
    if checkpoint.root == "first":
        return 0
    ids, padding = encoding.inputs["input_ids"], checkpoint.padding
    ends_anyway = architecture(checkpoint.model.config.model_type).ends_with_root
    if not checkpoint.head.classifies_texts or padding is None or ends_anyway:
        return len(ids) - 1
    written = np.flatnonzero(ids != padding)
    return int(written[-1]) if len(written) else 0


def model_inputs(encoding: Encoding, copies: int = 1) -> dict[str, torch.Tensor]:
    """What a model is called with for an encoding, `[copies, T]` each."""
    return {name: torch.from_numpy(values).expand(copies, -1) for name, values in encoding.inputs.items()}


def _check_recording(checkpoint: Checkpoint, recording: attention_hook.Recording) -> None:
    shapes = {tuple(layer.shape[1:]) for layer in recording.attention}
    heads = {shape[0] for shape in shapes}
    if len(recording.attention) != checkpoint.n_layers or heads != {checkpoint.n_heads} or len(shapes) != 1:
        raise UnsupportedArchitectureError(
            f"{checkpoint.name} cannot be analysed: of its {checkpoint.n_layers} layers with {checkpoint.n_heads} "
            f"heads {len(recording.attention)} used the attention interface. Choose another checkpoint."
        )


def shared_array(tensor: torch.Tensor) -> NDArray[np.float32]:
    """An array on the CPU that nobody can write to: results are shared between requests."""
    array = tensor.to(torch.float32).cpu().numpy()
    array.flags.writeable = False
    return array


def _probabilities(scores: torch.Tensor, problem: str) -> NDArray[np.float64] | None:
    if problem == "regression":
        return None
    scores = scores.double()
    return (scores.softmax(-1) if problem == "single_label" else scores.sigmoid()).cpu().numpy()
