"""One forward pass of a checkpoint in which attention, heads' outputs and hidden states are recorded and checked."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import AttnflowError, CheckpointError, UnsupportedArchitectureError, brief
from attnflow.records.trace import Head
from attnflow.runtime import attention_hook
from attnflow.runtime.capabilities import logits_of
from attnflow.runtime.value_norms import WrittenLengths, value_norms


@dataclass(frozen=True, eq=False)
class RecordedRun:
    """What one pass over `B` texts computed, on the model's device and in its precision."""

    attention: list[torch.Tensor]
    """For each layer `[B, H, T, T]`."""
    head_output: list[torch.Tensor]
    """For each layer `[B, T, H, K]`, after the gates."""
    hidden: tuple[torch.Tensor, ...]
    """`L + 1` of `[B, T, D]`."""
    scores: torch.Tensor | None
    """`[B, C]` logits, or None without a trained classification head."""
    token_scores: torch.Tensor | None
    """`[B, T, C]` logits of a trained head that gives each token a few of its own, or None."""
    value_norms: list[torch.Tensor] | None = None
    """For each layer `[B, H, T]`, if they were asked for and can be had."""


def recorded_run(
    checkpoint: Checkpoint,
    inputs: dict[str, torch.Tensor],
    gates: torch.Tensor | None = None,
    *,
    lengths: WrittenLengths | None = None,
) -> RecordedRun:
    """Run a checkpoint.

    Args:
        checkpoint: The model to run.
        inputs: What it is called with, `[B, T]` each.
        gates: `[L, H]`, multiplied with the heads' outputs.
        lengths: Of the checkpoint (`written_lengths`), if the norms of its values are wanted too.

    Raises:
        UnsupportedArchitectureError: If the model does not run all its layers through the attention interface.
        CheckpointError: If the model cannot be run, or computes numbers that are not finite.
    """
    of_text, of_tokens = checkpoint.head.classifies_texts, checkpoint.head.scores_tokens
    wanted = lengths is not None and not lengths.missing
    # The head of a language model would cost much and tell nothing of what is recorded.
    model = checkpoint.model if of_text or of_tokens else checkpoint.model.base_model
    try:
        with torch.inference_mode(), attention_hook.record(gates, keep_values=wanted) as recording:
            output = model(**inputs, output_hidden_states=True)
    except AttnflowError:  # such as that nobody waits for it any more
        raise
    except Exception as error:  # an architecture that no test has run, or weights that do not fit together
        raise CheckpointError(f"{checkpoint.name} cannot be run on this text ({brief(error)}).") from error
    _check_recording(checkpoint, recording)
    _check_rows(checkpoint, recording.attention, inputs["attention_mask"])
    _check_widths(checkpoint, output.hidden_states)
    check_finite(checkpoint, *output.hidden_states)  # what is not finite in a layer is so in what leaves it
    logits = logits_of(output) if of_text or of_tokens else None
    if logits is not None:
        check_finite(checkpoint, logits if of_text or "target" not in inputs else logits[inputs["target"] == 1])
    norms = None
    if lengths is not None and wanted:
        with torch.inference_mode():
            norms = value_norms(lengths, recording.values or ())
    scores = (logits if of_text else None), (logits if of_tokens else None)
    return RecordedRun(recording.attention, recording.head_output, output.hidden_states, *scores, norms)


def check_finite(checkpoint: Checkpoint, *computed: torch.Tensor) -> None:
    """Refuse what a checkpoint computes if it holds NaN or infinity.

    Raises:
        CheckpointError: If it does.
    """
    # A sum is not finite where a number is not, and seldom else; looking at each number takes three times as long.
    if not all(torch.isfinite(tensor.sum()) or torch.isfinite(tensor).all() for tensor in computed):
        raise CheckpointError(
            f"{checkpoint.name} computes numbers that are not finite, so its weights are damaged; choose another one."
        )


def head_gates(checkpoint: Checkpoint, pruned: frozenset[Head]) -> torch.Tensor | None:
    """`[L, H]`: 0 for pruned heads and 1 for all others; None if none is pruned."""
    if not pruned:
        return None
    gates = torch.ones(checkpoint.n_layers, checkpoint.n_heads, device=checkpoint.device)
    gates[tuple(zip(*pruned, strict=True))] = 0
    return gates


def _check_widths(checkpoint: Checkpoint, hidden: tuple[torch.Tensor, ...]) -> None:
    shapes = {tuple(layer.shape[:-1]) for layer in hidden}
    if len(shapes) != 1 or any(len(shape) != 2 for shape in shapes):
        raise UnsupportedArchitectureError(
            f"{checkpoint.name} cannot be analysed: what enters and leaves its layers is not one vector for each "
            "token. Choose another checkpoint."
        )
    widths = [layer.shape[-1] for layer in hidden]
    if len(hidden) != checkpoint.n_layers + 1 or len(set(widths)) != 1:
        raise UnsupportedArchitectureError(
            f"{checkpoint.name} cannot be analysed: what enters and leaves its {checkpoint.n_layers} layers has the "
            f"widths {', '.join(map(str, widths))}, where one of all is due. Choose another checkpoint."
        )


def _check_recording(checkpoint: Checkpoint, recording: attention_hook.Recording) -> None:
    shapes = {tuple(layer.shape[1:]) for layer in recording.attention}
    heads = {shape[0] for shape in shapes}
    if len(recording.attention) != checkpoint.n_layers or heads != {checkpoint.n_heads} or len(shapes) != 1:
        raise UnsupportedArchitectureError(
            f"{checkpoint.name} cannot be analysed: of its {checkpoint.n_layers} layers with {checkpoint.n_heads} "
            f"heads {len(recording.attention)} used the attention interface. Choose another checkpoint."
        )
    wide = sorted({output.shape[-1] for output in recording.head_output})
    if len(wide) != 1:
        raise UnsupportedArchitectureError(
            f"{checkpoint.name} cannot be analysed: its layers have heads of different widths "
            f"({', '.join(map(str, wide))}). Choose another checkpoint."
        )


def _check_rows(checkpoint: Checkpoint, attention: list[torch.Tensor], mask: torch.Tensor) -> None:
    """Refuse attention of which a part goes to no token, as to the sinks of GPT-OSS: its rows are no shares."""
    read = mask.bool()[:, None]  # rows of padding may be anything
    for layer in attention:
        tolerance = max(1e-3, 16 * torch.finfo(layer.dtype).eps)
        lost = (layer.sum(-1, dtype=torch.float32) - 1).abs().masked_fill(~read, 0)
        if lost.max() > tolerance:
            raise UnsupportedArchitectureError(
                f"{checkpoint.name} cannot be analysed: a part of its attention goes to no token of the text (a sink), "
                "so that what a token pays does not add up to 1. Choose another checkpoint."
            )
