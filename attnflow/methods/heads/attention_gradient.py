"""The gradient of the loss with respect to every attention weight: where a little more attention would change much."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import SelectionError, TextError
from attnflow.methods.heads.sweeps import gates_without
from attnflow.methods.objective import Label, choose_loss, examples
from attnflow.records.trace import SPECIAL, Encoding, Head
from attnflow.runtime import attention_hook
from attnflow.runtime.batch import padded_inputs
from attnflow.runtime.capabilities import run_model
from attnflow.runtime.recorded import check_finite
from attnflow.stats.attention_kinds import special_kinds

MASKED_SHARE = 0.15
"""Of the words of a text, masked at once, at least one; as in the training of BERT."""


@dataclass(frozen=True, eq=False)
class BatchGradient:
    """What the losses of several texts depend on, filled up on the right with zeros."""

    gradient: NDArray[np.float32]
    """`[N, L, H, T, T]` as `[text, layer, head, query, key]`: of each text's own loss."""
    attention: NDArray[np.float32]
    """`[N, L, H, T, T]`: the weights that it is the gradient with respect to."""
    lengths: NDArray[np.int64]
    """`[N]`: tokens of each text."""


def attention_gradient(
    checkpoint: Checkpoint,
    encoding: Encoding,
    label: Label = None,
    *,
    seed: int = 0,
    pruned: Iterable[Head] = (),
) -> NDArray[np.float32]:
    """The derivative of the loss with respect to each attention weight, signs kept.

    The loss is that of `head_importance`; of a masked language model it is the mean of `-log p` over the pieces of 15 %
    of the text's words, which are masked. Full stops and commas are not among them, so that they stay what they are.

    Args:
        checkpoint: The model; it is left as it is.
        encoding: The text.
        label: What should be predicted, as `head_importance` takes it; a masked language model takes none.
        seed: Draws the words that are masked; the same text and seed mask the same words.
        pruned: Heads that are switched off.

    Returns:
        `[L, H, T, T]` as `[layer, head, query, key]`.

    Raises:
        SelectionError: If the checkpoint has no trained task head, or a label, seed or head does not exist.
        TextError: If a masked language model is given a text without a word.
        CheckpointError: If it computes numbers that are not finite.

    Reference:
        Clark et al., *What Does BERT Look At?*, section 3.2, of BERT's masked language modelling.

    Example:
        >>> from attnflow import encode, load_checkpoint
        >>> checkpoint = load_checkpoint("demo/finetuned")
        >>> attention_gradient(checkpoint, encode(checkpoint, "Anna met Paul.", "Paul met Anna.")).shape
        (4, 4, 11, 11)
    """
    return batch_gradient(checkpoint, [encoding], [label], seed=seed, pruned=pruned).gradient[0]


def batch_gradient(
    checkpoint: Checkpoint,
    encodings: Sequence[Encoding],
    labels: Sequence[Label] | None = None,
    *,
    seed: int = 0,
    pruned: Iterable[Head] = (),
) -> BatchGradient:
    """The same for several texts in one pass; arguments and errors as those of `attention_gradient`."""
    pairs, wanted = examples(encodings, labels)
    check_loss(checkpoint)
    hidden = [masked(checkpoint, one, seed) for one in pairs] if predicts_masked_words(checkpoint) else None
    inputs = padded_inputs(checkpoint, [one for one, _ in hidden] if hidden else pairs)
    gates = gates_without(checkpoint, pruned).to(checkpoint.device)
    with torch.enable_grad(), attention_hook.record(gates, differentiable=True) as recording:
        output = run_model(checkpoint, inputs, task=True)
        losses: list[torch.Tensor] = []
        for row, (encoding, label) in enumerate(zip(pairs, wanted, strict=True)):
            if hidden:
                losses.append(_masked_loss(encoding, hidden[row][1], output[row]))
            else:
                plain = output[row].detach()
                losses.append(choose_loss(checkpoint, encoding, label, plain).of(output[row : row + 1])[0])
    found = torch.autograd.grad(torch.stack(losses).sum(), recording.attention, allow_unused=True)
    slopes = [torch.zeros_like(a) if g is None else g for g, a in zip(found, recording.attention, strict=True)]
    check_finite(checkpoint, *slopes)
    lengths = np.array([len(encoding.tokens) for encoding in pairs])
    gradient, attention = (_array(layers, lengths) for layers in (slopes, recording.attention))
    return BatchGradient(gradient, attention, lengths)


def check_loss(checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint without a loss.

    Raises:
        SelectionError: If it has no trained task head, or predicts masked words and knows no mask.
        UnsupportedArchitectureError: If it is an encoder-decoder that is read whole.
    """
    checkpoint.check_one_stack("Gradients of attention")
    if not checkpoint.head.trained:
        raise SelectionError(
            f"{checkpoint.name} has no trained task head, so there is no loss and no gradient of it; choose a "
            "checkpoint that was trained for a task."
        )
    if predicts_masked_words(checkpoint) and checkpoint.tokenizer.facts.mask is None:
        raise SelectionError(
            f"{checkpoint.name} predicts masked words, but its tokenizer knows no mask, so there is no loss; choose "
            "another checkpoint."
        )


def predicts_masked_words(checkpoint: Checkpoint) -> bool:
    """Whether the loss is that of masked words."""
    return checkpoint.head.kind == "masked-lm"


def masked(checkpoint: Checkpoint, encoding: Encoding, seed: int) -> tuple[Encoding, NDArray[np.int64]]:
    """The same text with some words masked, and the positions of their pieces.

    Raises:
        TextError: If it has no word but full stops and commas.
        SelectionError: If the seed is no whole number from 0.
    """
    tokens, ids = encoding.tokens, encoding.inputs["input_ids"]
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise SelectionError(f"seed is {seed!r}; give a whole number from 0.")
    free = (tokens.sentence != SPECIAL) & ~special_kinds(tokens)[2]
    words = np.unique(tokens.word[free])
    if not len(words):
        raise TextError(f"The text has no word that could be masked: {encoding.text_a[:60]!r}.")
    digest = hashlib.sha256(ids.astype("<i8").tobytes()).digest()  # so that its place among others does not matter
    draw = np.random.default_rng([seed, *digest])
    chosen = draw.choice(words, max(1, round(MASKED_SHARE * len(words))), replace=False)
    positions = np.flatnonzero(free & np.isin(tokens.word, chosen))
    blank, mask = ids.copy(), checkpoint.tokenizer.facts.mask
    assert mask is not None, "without one there is no loss, and this was refused"
    blank[positions] = mask
    return replace(encoding, inputs={**encoding.inputs, "input_ids": blank}), positions


def _masked_loss(encoding: Encoding, positions: NDArray[np.int64], logits: torch.Tensor) -> torch.Tensor:
    """The mean of `-log p` over the pieces that are masked; `logits` `[T, V]`."""
    rows = logits[torch.from_numpy(positions).to(logits.device)].log_softmax(-1)
    wanted = torch.from_numpy(encoding.inputs["input_ids"][positions]).to(logits.device)
    return -rows.gather(1, wanted[:, None]).mean()


def _array(layers: Sequence[torch.Tensor], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
    """`[N, L, H, T, T]`, 0 beyond each text."""
    found = torch.stack([layer.detach() for layer in layers], dim=1).float().cpu().numpy()
    for row, length in enumerate(lengths.tolist()):
        found[row, :, :, length:] = 0
        found[row, ..., length:] = 0
    return found
