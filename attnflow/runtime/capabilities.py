"""What the forward passes of one model allow: found by trying, once for each checkpoint.

Tokens that are always the same are tried, so that no answer depends on the text that happened to come first. The
answers are kept with the checkpoint (`Checkpoint.learnt`).
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import torch

from attnflow.checkpoints.architectures import architecture
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import UnsupportedArchitectureError
from attnflow.runtime import attention_hook, layers, rotary
from attnflow.runtime.linear import SparingLinear

PROBE_TOKENS = 6
"""Length of what is tried."""


def probe(checkpoint: Checkpoint, size: int = PROBE_TOKENS) -> dict[str, torch.Tensor]:
    """What the model is called with to try something, `[1, T]` each: different words where there are as many."""
    special = {*checkpoint.tokenizer.facts.special, checkpoint.padding}
    words = list(islice((index for index in range(checkpoint.n_entries) if index not in special), size)) or [0]
    ids = torch.from_numpy(np.resize(words, size).astype(np.int64)).to(checkpoint.device)[None]
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if checkpoint.stacks is not None:
        inputs["target"] = (torch.arange(size, device=checkpoint.device) >= size // 2).long()[None]
    return inputs


def run_model(checkpoint: Checkpoint, inputs: dict[str, torch.Tensor], *, task: bool) -> torch.Tensor:
    """`[B, C]` or `[B, T, C]` logits with a task, else `[B, T, D]`, the embeddings that leave the model."""
    if task:
        return logits_of(checkpoint.model(**inputs))
    return checkpoint.model.base_model(**inputs).last_hidden_state


def logits_of(output: Any) -> torch.Tensor:
    """`[B, C]` or `[B, T, C]` of what a model with a head gives; `[B, T, 2]`, start and end, of one for answers."""
    ends = getattr(output, "start_logits", None)
    return output.logits if ends is None else torch.stack((ends, output.end_logits), dim=-1)


def read_at(position: int, output: torch.Tensor) -> torch.Tensor:
    """`[B, C]` of what `run_model` gives."""
    return output if output.dim() == 2 else output[:, position]


def nearly_equal(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether two ways to run a model give the same, up to the rounding of float32, or of what is coarser."""
    tolerance = max(1e-4, 8 * torch.finfo(expected.dtype).eps)
    return found.shape == expected.shape and torch.allclose(found, expected, rtol=tolerance, atol=tolerance)


def batches_allowed(checkpoint: Checkpoint) -> bool:
    """Whether several texts may run at once: a causal classifier finds where a text ends by its padding, if any."""
    return checkpoint.padding is not None or not (checkpoint.head.classifies_texts and checkpoint.root == "last")


def reads_one_position(checkpoint: Checkpoint, *, task: bool) -> bool:
    """Whether after the last attention only the token that is read matters; not so if all positions are pooled.

    Nothing is known of models that are not steerable: their layers may have other axes.
    """
    return checkpoint.steerable and checkpoint.learnt.get(
        ("reads one position", task), lambda: _tries_one_position(checkpoint, task)
    )


def _tries_one_position(checkpoint: Checkpoint, task: bool) -> bool:
    inputs, position = probe(checkpoint), _read(checkpoint)
    with torch.inference_mode():
        expected = read_at(position, run_model(checkpoint, inputs, task=task))
        try:
            with (
                attention_hook.record(keep=False) as recording,
                SparingLinear(recording, checkpoint.n_layers, PROBE_TOKENS, position),
            ):
                return nearly_equal(read_at(position, run_model(checkpoint, inputs, task=task)), expected)
        except RuntimeError:  # a layer that writes into what it was given, where all positions are one
            return False


def rows_may_join(checkpoint: Checkpoint, *, task: bool) -> bool:
    """Whether a pass that begins with one row may go on with more from any layer on."""
    return checkpoint.steerable and checkpoint.learnt.get(
        ("rows may join", task), lambda: _tries_joining(checkpoint, task)
    )


def _tries_joining(checkpoint: Checkpoint, task: bool) -> bool:
    inputs, position = probe(checkpoint), _read(checkpoint)

    def double(layer: int, hidden: torch.Tensor) -> torch.Tensor:
        return hidden if layer else hidden.expand(2, -1, -1).contiguous()

    try:
        with torch.inference_mode():
            expected = read_at(position, run_model(checkpoint, inputs, task=task)).expand(2, -1)
            with layers.steer(enter=double):
                return nearly_equal(read_at(position, run_model(checkpoint, inputs, task=task)), expected)
    except (RuntimeError, ValueError, IndexError):
        return False


def text_enters_once(checkpoint: Checkpoint) -> bool:
    """Whether a model reads of its tokens nothing but what enters its first layer.

    It does not where the vectors of tokens go to a later layer, too, past the first one; then what is put in at the
    first layer, or a gradient taken there, misses a part.
    """
    return checkpoint.learnt.get("text enters once", lambda: _tries_entering(checkpoint))


def check_explainable(checkpoint: Checkpoint) -> None:
    """Refuse a model of which not all that a text does to it can be put in, or differentiated, at its first layer.

    Raises:
        UnsupportedArchitectureError: With the reason.
    """
    if not checkpoint.steerable:
        raise UnsupportedArchitectureError(
            f"{checkpoint.name} cannot be explained: what enters its first layer cannot be changed. "
            "Choose another checkpoint."
        )
    if not text_enters_once(checkpoint):
        raise UnsupportedArchitectureError(
            f"{checkpoint.name} cannot be explained: it reads its tokens again beside its first layer, and what they "
            "are responsible for on that way would be left out. Choose another checkpoint."
        )


def _tries_entering(checkpoint: Checkpoint) -> bool:
    inputs, entering = probe(checkpoint), list[torch.Tensor]()
    other = inputs | {"input_ids": inputs["input_ids"].flip(-1)}
    with torch.inference_mode():
        with layers.steer(enter=layers.kept_in(entering)):
            expected = run_model(checkpoint, other, task=False)
        with layers.steer(hidden=entering[0]):
            return nearly_equal(run_model(checkpoint, inputs, task=False), expected)


def padding_allowed(checkpoint: Checkpoint) -> bool:
    """Whether texts of different lengths may run at once, the shorter ones filled up on the right.

    Of an encoder-decoder whether targets may: sources would have to be filled up within the axis of tokens.
    """
    known = architecture(checkpoint.model.config.model_type)
    return (
        known.padded
        and batches_allowed(checkpoint)
        and not rotary.changes_with_length(checkpoint.model)
        and checkpoint.learnt.get("padding", lambda: _tries_padding(checkpoint))
    )


def _tries_padding(checkpoint: Checkpoint) -> bool:
    long, size, task = probe(checkpoint), PROBE_TOKENS - 2, checkpoint.head.classifies_texts
    short = {name: values[:, :size] for name, values in long.items()}
    both = {name: values.repeat(2, 1) for name, values in long.items()}
    both["input_ids"][1, size:], both["attention_mask"][1, size:] = filler(checkpoint), 0
    try:
        with torch.inference_mode():
            found = run_model(checkpoint, both, task=task)
            alone = [run_model(checkpoint, inputs, task=task) for inputs in (long, short)]
    except (RuntimeError, ValueError, IndexError):
        return False
    rows = (found[:1], found[1:] if task else found[1:, :size])
    return all(nearly_equal(row, expected) for row, expected in zip(rows, alone, strict=True))


def filler(checkpoint: Checkpoint) -> int:
    """The entry of the vocabulary that fills up a batch: the model's padding or, where it knows none, any."""
    padding = checkpoint.padding
    return padding if padding is not None and 0 <= padding < checkpoint.n_entries else 0


def _read(checkpoint: Checkpoint) -> int:
    return 0 if checkpoint.root == "first" else PROBE_TOKENS - 1
