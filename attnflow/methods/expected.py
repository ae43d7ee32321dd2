"""What a language model expects: the likeliest tokens after each token of a text, or in place of each mask."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import SelectionError
from attnflow.records.token_scores import ExpectedTokens
from attnflow.records.trace import Encoding, Head, check_heads, is_whole
from attnflow.records.words import entry_text
from attnflow.runtime import attention_hook
from attnflow.runtime.capabilities import run_model
from attnflow.runtime.capture import model_inputs
from attnflow.runtime.recorded import check_finite, head_gates

MOST_EXPECTED = 5
"""Tokens that are told of each position where nobody says how many."""
_AT_ONCE = 1 << 24
"""Scores of the vocabulary that are compared at once."""


def expected_tokens(
    checkpoint: Checkpoint, encoding: Encoding, *, most: int = MOST_EXPECTED, pruned: Iterable[Head] = ()
) -> ExpectedTokens:
    """What a language model expects of a text: after each of its tokens or, a masked one, in place of each mask.

    Args:
        checkpoint: A checkpoint with a trained head for masked words or for the next one.
        encoding: A text encoded for it.
        most: How many tokens are told of each position, the likeliest first.
        pruned: Heads that are switched off.

    Returns:
        Probabilities are shares of the whole vocabulary. A causal model is told, too, how likely the token is that
        really follows, and its rank. Of a masked one there are no positions but masks and, if it is asked for, that of
        the encoding (`Encoding.at`).

    Raises:
        SelectionError: If the checkpoint is no trained language model, or a number or head is out of range.
        CheckpointError: If its scores are not finite.

    Example:
        >>> from attnflow import encode, load_checkpoint
        >>> checkpoint = load_checkpoint("demo/pretrained")
        >>> found = expected_tokens(checkpoint, encode(checkpoint, "Anna met [MASK]."), most=3)
        >>> found.position.tolist(), found.probabilities.shape
        ([3], (1, 3))
    """
    head = checkpoint.head
    if not head.predicts_next and not (head.trained and head.kind == "masked-lm"):
        raise SelectionError(f"{checkpoint.name} is no trained language model, so it expects no token.")
    if not is_whole(most) or not 1 <= most <= checkpoint.n_entries:
        raise SelectionError(f"most is {most!r}; give a whole number from 1 to {checkpoint.n_entries:,}.")
    ids = torch.as_tensor(encoding.inputs["input_ids"], device="cpu")
    causal = head.predicts_next
    positions = (
        torch.arange(encoding.tokens.n_source or 0, len(ids), device="cpu") if causal else _masks(checkpoint, encoding)
    )
    if not len(positions):
        nothing = np.empty((0, most))
        return ExpectedTokens(positions.numpy(), nothing.astype(np.int64), (), nothing.astype(np.float32), nothing)
    gates = head_gates(checkpoint, check_heads(pruned, checkpoint.n_layers, checkpoint.n_heads) | checkpoint.pruned)
    with torch.inference_mode(), attention_hook.record(gates, keep=False):
        logits = run_model(checkpoint, model_inputs(encoding, device=checkpoint.device), task=True)[0]
    return _told(checkpoint, logits, positions, ids, causal=causal, most=int(most))


def _masks(checkpoint: Checkpoint, encoding: Encoding) -> torch.Tensor:
    """The positions of all masks, and of the token that is asked about by name."""
    wanted = encoding.inputs["input_ids"] == checkpoint.tokenizer.facts.mask  # none where there is no mask
    if encoding.position is not None:
        wanted[encoding.position] = True
    return torch.as_tensor(np.flatnonzero(wanted), device="cpu")


def _told(
    checkpoint: Checkpoint, logits: torch.Tensor, positions: torch.Tensor, ids: torch.Tensor, *, causal: bool, most: int
) -> ExpectedTokens:
    """What logits `[T, V]` say at some positions, a few of them at once, as a vocabulary is large."""
    entries, scores, chances = list[torch.Tensor](), list[torch.Tensor](), list[torch.Tensor]()
    following, ranks = np.full(len(positions), np.nan), np.zeros(len(positions), np.int64)
    for some in positions.split(max(1, _AT_ONCE // logits.shape[-1])):
        rows = logits[some.to(logits.device)].float()
        check_finite(checkpoint, rows.max())  # NaN is the largest; a model may rule words out by -inf
        log = rows.double().log_softmax(-1)
        best = rows.topk(most)
        entries.append(best.indices.cpu())
        scores.append(best.values.cpu())
        chances.append(log.gather(-1, best.indices).exp().cpu())
        if causal:
            known = some[some + 1 < len(ids)]
            real = ids[known + 1].to(rows.device)[:, None]
            own, at = log[: len(known)].gather(-1, real), known - positions[0]
            following[at] = own[:, 0].exp().cpu()
            ranks[at] = (log[: len(known)] >= own).sum(-1).cpu()
    entry = torch.cat(entries).numpy()
    names = iter(checkpoint.tokenizer.pieces(entry.flatten().tolist()))
    text = tuple(tuple(entry_text(next(names) or str(number)) for number in row) for row in entry.tolist())
    return ExpectedTokens(
        position=positions.numpy(),
        entry=entry,
        text=text,
        scores=torch.cat(scores).numpy(),
        probabilities=torch.cat(chances).numpy(),
        following=following if causal else None,
        rank=ranks if causal else None,
    )
