"""Runs a checkpoint on several texts at once: filled up on the right, masked, and recorded in one array for all.

Axes as everywhere, and `N` texts; `T` is the length of the longest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import SelectionError
from attnflow.records.trace import Encoding, Head, check_heads
from attnflow.runtime.capabilities import filler, padding_allowed
from attnflow.runtime.recorded import head_gates, recorded_run
from attnflow.runtime.value_norms import WrittenLengths

TOKENS_AT_ONCE = 2048
"""Padding included: enough for the matrix products, few enough for memory."""


@dataclass(frozen=True, eq=False)
class LayeredBatch:
    """What was recorded while one checkpoint read several texts at once, layer by layer as the model made it.

    Tensors are on the checkpoint's device and in its precision; attention beyond a text's own length is 0.
    """

    encodings: tuple[Encoding, ...]
    lengths: NDArray[np.int64]
    """`[N]`: tokens of each text."""
    attention: list[torch.Tensor]
    """`[L]` of `[N, H, T, T]`."""
    hidden: tuple[torch.Tensor, ...]
    """`[L + 1]` of `[N, T, D]`; beyond a text's own length anything."""
    head_output: list[torch.Tensor]
    """`[L]` of `[N, T, H, K]`; likewise."""
    scores: torch.Tensor | None
    """`[N, C]` logits, or None without a trained classification head."""
    token_scores: torch.Tensor | None
    """`[N, T, C]` logits of a trained head that gives each token a few of its own, or None; likewise."""
    pruned: frozenset[Head] = frozenset()
    value_norms: list[torch.Tensor] | None = None
    """`[L]` of `[N, H, T]`, if they were asked for; likewise."""


@dataclass(frozen=True, eq=False)
class Batch:
    """What was recorded while one checkpoint read several texts at once.

    Tensors are on the checkpoint's device and in its precision; beyond a text's own length they are 0.
    """

    encodings: tuple[Encoding, ...]
    lengths: NDArray[np.int64]
    """`[N]`: tokens of each text."""
    attention: torch.Tensor
    """`[N, L, H, T, T]` as `[text, layer, head, query, key]`; rows of a text's tokens sum to 1."""
    hidden: torch.Tensor
    """`[N, L + 1, T, D]`"""
    head_output: torch.Tensor
    """`[N, L, T, H, K]`, before the output projection."""
    scores: torch.Tensor | None
    """`[N, C]` logits, or None without a trained classification head."""
    token_scores: torch.Tensor | None
    """`[N, T, C]` logits of a trained head that gives each token a few of its own, or None; beyond a text's own length
    anything."""
    pruned: frozenset[Head] = frozenset()
    value_norms: torch.Tensor | None = None
    """`[N, L, H, T]`: norm of each token's value times the head's part of the output projection, if asked for."""


def capture_batch(
    checkpoint: Checkpoint,
    encodings: Sequence[Encoding],
    *,
    pruned: Iterable[Head] = (),
    lengths: WrittenLengths | None = None,
) -> Batch:
    """Run a checkpoint on several encodings in one pass, for statistics over many texts.

    Nothing is copied text by text: feed `attention` and `lengths` to what adds up. Texts of similar length waste least
    (`batches`).

    Args:
        checkpoint: The model to run.
        encodings: One or more texts encoded for this checkpoint, all of which fit into memory at once.
        pruned: Heads `(layer, head)` that are switched off in all of them.
        lengths: Of the checkpoint (`written_lengths`), if the norms of its values are wanted too.

    Raises:
        SelectionError: If there is no text, if texts of different lengths cannot run at once in this architecture, or
            if a pruned head does not exist.
        UnsupportedArchitectureError: As `capture`.
        CheckpointError: As `capture`.

    Example:
        >>> from attnflow import encode, load_checkpoint
        >>> checkpoint = load_checkpoint("demo/finetuned")
        >>> texts = [encode(checkpoint, text) for text in ("Anna met Paul.", "Paul met Anna in Rome.")]
        >>> batch = capture_batch(checkpoint, texts)
        >>> tuple(batch.attention.shape), batch.lengths.tolist()
        ((2, 4, 4, 9, 9), [6, 9])
    """
    run = capture_layers(checkpoint, encodings, pruned=pruned, lengths=lengths)
    with torch.inference_mode():
        attention, hidden = torch.stack(run.attention, dim=1), torch.stack(run.hidden, dim=1)
        head_output = torch.stack(run.head_output, dim=1)
        norms = None if run.value_norms is None else torch.stack(run.value_norms, dim=1)
        for row, length in enumerate(run.lengths.tolist()):
            hidden[row, :, length:] = 0
            head_output[row, :, length:] = 0
            if norms is not None:
                norms[row, ..., length:] = 0
    return Batch(
        run.encodings, run.lengths, attention, hidden, head_output, run.scores, run.token_scores, run.pruned, norms
    )


def capture_layers(
    checkpoint: Checkpoint,
    encodings: Sequence[Encoding],
    *,
    pruned: Iterable[Head] = (),
    lengths: WrittenLengths | None = None,
) -> LayeredBatch:
    """Run a checkpoint as `capture_batch` does, and copy nothing: for what adds up layer by layer.

    Args:
        checkpoint: As in `capture_batch`.
        encodings: Likewise.
        pruned: Likewise.
        lengths: Likewise.

    Raises:
        SelectionError: Likewise, and so the other errors.
    """
    encodings = tuple(encodings)
    if not encodings:
        raise SelectionError("There are no texts; give at least one encoded pair.")
    heads = check_heads(pruned, checkpoint.n_layers, checkpoint.n_heads) | checkpoint.pruned
    sizes = np.array([len(encoding.tokens) for encoding in encodings])
    if len({encoding.tokens.n_source for encoding in encodings}) > 1:
        raise SelectionError(
            f"Sources of different lengths cannot run at once in {checkpoint.name}; use capture, which runs those of "
            "one length together."
        )
    if len(set(sizes.tolist())) > 1 and not padding_allowed(checkpoint):
        raise SelectionError(
            f"Texts of different lengths cannot run at once in {checkpoint.name}; give texts of one length, or use "
            "capture, which runs them one by one."
        )
    inputs = padded_inputs(checkpoint, encodings)
    run = recorded_run(checkpoint, inputs, head_gates(checkpoint, heads), lengths=lengths)
    with torch.inference_mode():
        for layer in run.attention if sizes.min() < sizes.max() else ():
            for row, length in enumerate(sizes.tolist()):
                layer[row, :, length:] = 0
                layer[row, ..., length:] = 0
    return LayeredBatch(
        encodings,
        sizes,
        run.attention,
        run.hidden,
        run.head_output,
        run.scores,
        run.token_scores,
        heads,
        run.value_norms,
    )


def padded_inputs(checkpoint: Checkpoint, encodings: Sequence[Encoding]) -> dict[str, torch.Tensor]:
    """What the model is called with for several texts: `[N, T]` each, the shorter ones filled up on the right.

    In an encoder-decoder what is filled up is the target.
    """
    size = max(len(encoding.tokens) for encoding in encodings)
    inputs = {name: np.zeros((len(encodings), size), np.int64) for name in ("attention_mask", *encodings[0].inputs)}
    inputs["input_ids"][:] = filler(checkpoint)
    if "target" in inputs:
        inputs["target"][:] = 1
    for row, encoding in enumerate(encodings):
        inputs["attention_mask"][row, : len(encoding.tokens)] = 1
        for name, values in encoding.inputs.items():
            inputs[name][row, : len(values)] = values
    return {name: torch.from_numpy(values).to(checkpoint.device) for name, values in inputs.items()}


def batches(checkpoint: Checkpoint, encodings: Sequence[Encoding], tokens: int = TOKENS_AT_ONCE) -> Iterator[list[int]]:
    """The numbers of the texts that are to run together: of similar length, so that little is padded.

    Args:
        checkpoint: The model; each text is a batch of its own if it cannot run texts of different lengths at once. Of
            an encoder-decoder those run together whose sources have one length, and whose targets do if it cannot.
        encodings: The texts.
        tokens: Most tokens of one batch, padding included; a longer text is a batch of its own.
    """
    padded = len(encodings) > 1 and padding_allowed(checkpoint)
    sizes = [(one.tokens.n_source or 0, len(one.tokens)) for one in encodings]
    batch: list[int] = []
    for index in sorted(range(len(encodings)), key=sizes.__getitem__):
        if batch:
            (source, size), first = sizes[index], sizes[batch[0]]
            alike = source == first[0] and (padded or (checkpoint.stacks is not None and size == first[1]))
            if not alike or (len(batch) + 1) * size > tokens:
                yield batch
                batch = []
        batch.append(index)
    if batch:
        yield batch
