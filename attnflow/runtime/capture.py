"""Runs a checkpoint on sentence pairs and records what happens inside: encoding to trace."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import CheckpointError
from attnflow.records.trace import Encoding, Head, Trace, check_heads
from attnflow.runtime.batch import batches, capture_batch
from attnflow.runtime.recorded import head_gates, recorded_run
from attnflow.runtime.root import at_position, root_of
from attnflow.runtime.token_scores import token_scores
from attnflow.runtime.value_norms import written_lengths


@overload
def capture(checkpoint: Checkpoint, encoding: Encoding, *, pruned: Iterable[Head] = ()) -> Trace: ...


@overload
def capture(checkpoint: Checkpoint, encoding: Sequence[Encoding], *, pruned: Iterable[Head] = ()) -> list[Trace]: ...


def capture(
    checkpoint: Checkpoint, encoding: Encoding | Sequence[Encoding], *, pruned: Iterable[Head] = ()
) -> Trace | list[Trace]:
    """Run a checkpoint on an encoding, or on many, and record what happens inside.

    Two threads may capture with one checkpoint at once, each with its own pruned heads; nothing is left changed.

    Args:
        checkpoint: The model to run.
        encoding: A pair encoded for this checkpoint, or a list of them. Those of a list run several at once, sorted by
            length and filled up, where the architecture allows it, and one by one where not.
        pruned: Heads `(layer, head)` whose output is multiplied by 0 before the output projection, which equals
            zeroing their columns of that projection. Those that the checkpoint was saved without always belong to them.

    Returns:
        A trace whose arrays equal those of transformers' own eager attention; of a list, a list in the same order,
        whose traces equal those of single runs up to rounding.

    Raises:
        SelectionError: If a pruned head does not exist, or a prediction at one token is meant (`Encoding.at`) and the
            checkpoint has none.
        UnsupportedArchitectureError: If the model does not run all its layers through the attention interface.
        CheckpointError: If the model cannot be run, or computes numbers that are not finite.
    """
    if not isinstance(encoding, Encoding):
        return _capture_all(checkpoint, list(encoding), pruned)
    heads = check_heads(pruned, checkpoint.n_layers, checkpoint.n_heads) | checkpoint.pruned
    inputs = model_inputs(encoding, device=checkpoint.device)
    run = recorded_run(checkpoint, inputs, head_gates(checkpoint, heads), lengths=written_lengths(checkpoint))
    attention, hidden, head_output = (torch.cat(part) for part in (run.attention, run.hidden, run.head_output))
    norms = None if run.value_norms is None else torch.cat(run.value_norms)
    scores, of_tokens = (None if one is None else one[0] for one in (run.scores, run.token_scores))
    return _trace(checkpoint, encoding, attention, hidden, head_output, norms, scores, of_tokens, heads)


def _capture_all(checkpoint: Checkpoint, encodings: list[Encoding], pruned: Iterable[Head]) -> list[Trace]:
    heads = check_heads(pruned, checkpoint.n_layers, checkpoint.n_heads) | checkpoint.pruned
    traces: dict[int, Trace] = {}
    for rows in batches(checkpoint, encodings):
        try:
            texts, lengths = [encodings[row] for row in rows], written_lengths(checkpoint)
            batch = capture_batch(checkpoint, texts, pruned=heads, lengths=lengths) if rows[1:] else None
        except CheckpointError:  # such as rows of padding alone that overflow in float64; what is truly wrong shows
            batch = None
        if batch is None:
            traces |= {row: capture(checkpoint, encodings[row], pruned=heads) for row in rows}
            continue
        for one, row in enumerate(rows):
            size = int(batch.lengths[one])
            parts = (
                batch.attention[one, ..., :size, :size],
                batch.hidden[one, :, :size],
                batch.head_output[one, :, :size],
            )
            norms = None if batch.value_norms is None else batch.value_norms[one, ..., :size].clone()
            # Copied, as a trace that is kept must not keep the whole batch.
            attention, hidden, outputs = (part.clone(memory_format=torch.contiguous_format) for part in parts)
            scores = None if batch.scores is None else batch.scores[one].clone()
            of_tokens = None if batch.token_scores is None else batch.token_scores[one]
            traces[row] = _trace(
                checkpoint, encodings[row], attention, hidden, outputs, norms, scores, of_tokens, heads
            )
    return [traces[row] for row in range(len(encodings))]


def _trace(
    checkpoint: Checkpoint,
    encoding: Encoding,
    attention: torch.Tensor,
    hidden: torch.Tensor,
    head_output: torch.Tensor,
    norms: torch.Tensor | None,
    scores: torch.Tensor | None,
    of_tokens: torch.Tensor | None,
    pruned: frozenset[Head],
) -> Trace:
    """What was recorded of one text, as a record of arrays."""
    encoding = at_position(checkpoint.head, checkpoint.name, encoding, encoding.position)
    scored = None if of_tokens is None else token_scores(checkpoint, encoding, of_tokens)
    return Trace(
        tokens=encoding.tokens,
        attention=shared_array(attention),
        hidden=shared_array(hidden),
        head_output=shared_array(head_output),
        root=root_of(checkpoint, encoding, scored),
        scores=None if scores is None else shared_array(scores),
        probabilities=None if scores is None else _probabilities(scores, checkpoint.head.problem),
        labels=() if scores is None else checkpoint.head.labels,
        pruned=pruned,
        pooling=checkpoint.reading.pooling,
        value_norms=None if norms is None else shared_array(norms),
        no_value_norms=written_lengths(checkpoint).missing,
        token_scores=scored,
        stacks=checkpoint.stacks,
    )


def trace_bytes(checkpoint: Checkpoint, size: int) -> int:
    """How many bytes a trace of so many tokens takes: attention `[L,H,T,T]`, hidden `[L+1,T,D]`, heads `[L,T,H,K]`.

    The last is told by the configuration, or as wide as the model; attention is by far the most of a long text.
    """
    config = checkpoint.model.config.get_text_config()
    wide = getattr(config, "head_dim", None) or getattr(config, "d_kv", None)
    outputs = checkpoint.n_heads * wide if isinstance(wide, int) else checkpoint.width
    of_layer = checkpoint.n_heads * size**2 + checkpoint.width * size + outputs * size
    return 4 * (checkpoint.n_layers * of_layer + checkpoint.width * size)


def model_inputs(encoding: Encoding, copies: int = 1, *, device: torch.device | str = "cpu") -> dict[str, torch.Tensor]:
    """What a model is called with for an encoding, `[copies, T]` each, on the device of the model."""
    return {name: torch.from_numpy(values).to(device).expand(copies, -1) for name, values in encoding.inputs.items()}


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
